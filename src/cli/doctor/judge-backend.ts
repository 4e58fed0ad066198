/**
 * What is to be said about one backend, from what it answered. Pure.
 */

import { about, type Finding, quoted } from '#src/cli/doctor/finding.ts'
import { judgeKubo, type KuboConfig } from '#src/cli/doctor/judge-kubo.ts'
import type { BackendConfig, Config } from '#src/config/config.ts'

/** What came of asking it. */
export interface BackendFacts {
  /** Absent for one that has no RPC. */
  readonly rpc?:
    | {
        readonly ok: true
        readonly agent: string
        /** Its clock minus ours; undefined where it tells no time. */
        readonly clockAheadMs?: number
        /** What it is configured with, or why it does not tell. */
        readonly settings: KuboConfig | string
      }
    | { readonly ok: false; readonly reason: string }
  readonly swarm:
    | { readonly ok: true; readonly pingMs?: number; readonly observed?: string }
    | { readonly ok: false; readonly reason: string }
  /** The IP address that we come from on the way to its RPC. */
  readonly localAddress?: string
  /** Lanes that the edge which runs here has up; undefined where none runs. */
  readonly lanesUp?: number
  /** Status of its gateway for a block that nobody has, asked not to fetch it; or why there was none. */
  readonly gateway?: number | string
}

/** What of the edge matters to a backend. */
export interface Asking {
  readonly config: Config
  /** Peer IDs with which it is dialled. */
  readonly lanes: readonly string[]
}

const skewMs = 30_000
const slowPingMs = 1_000

export function judgeBackend(backend: BackendConfig, facts: BackendFacts, asking: Asking): Finding[] {
  const name = `backend ${backend.name}`
  return [
    ...rpcOf(name, backend, facts),
    ...clockOf(name, facts),
    ...swarmOf(name, facts),
    ...gatewayOf(name, backend, facts),
    ...settingsOf(name, facts, asking),
  ]
}

function rpcOf(name: string, backend: BackendConfig, { rpc }: BackendFacts): Finding[] {
  const { ok, fail } = about(name)
  if (rpc === undefined || backend.kind !== 'rpc') return []
  if (rpc.ok) return [ok(`RPC answers: ${rpc.agent || 'a node that does not say what it is'}`)]
  return [fail(`RPC: ${rpc.reason}`, onAddress('API', backend.url))]
}

/** Kubo listens on loopback until it is told otherwise. */
function onAddress(which: 'API' | 'Gateway', url: string): string {
  const { hostname, port, protocol } = new URL(url)
  const look = `curl ${which === 'API' ? '-X POST ' : ''}${url}/${which === 'API' ? 'api/v0/id' : 'ipfs/bafkqaaa'}`
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(hostname) || hostname.startsWith('127.') || protocol === 'https:')
    return look
  return `ipfs config Addresses.${which} /ip4/${hostname}/tcp/${port || 80} # on that node; then restart it, and try ${look}`
}

function clockOf(name: string, { rpc }: BackendFacts): Finding[] {
  const { ok, warn } = about(name)
  if (rpc?.ok !== true || rpc.clockAheadMs === undefined) return []
  const seconds = Math.round(Math.abs(rpc.clockAheadMs) / 1_000)
  if (Math.abs(rpc.clockAheadMs) <= skewMs) return [ok('clocks agree')]
  const way = rpc.clockAheadMs > 0 ? 'behind' : 'ahead of'
  return [
    warn(
      `this machine's clock is ${seconds} s ${way} its clock: certificates and records are judged by it`,
      'timedatectl set-ntp true # on whichever is wrong',
    ),
  ]
}

function swarmOf(name: string, { rpc, swarm, lanesUp }: BackendFacts): Finding[] {
  const { ok, warn, fail } = about(name)
  if (swarm.ok) {
    const { pingMs } = swarm
    if (pingMs === undefined)
      return [warn('libp2p answers, but no ping does: it counts as unresponsive when it is busy')]
    const rounded = `${pingMs < 10 ? pingMs.toFixed(1) : Math.round(pingMs)} ms`
    if (pingMs <= slowPingMs) return [ok(`libp2p answers, ping ${rounded}`)]
    return [warn(`libp2p answers, but a ping takes ${rounded}: put the edge nearer to it`)]
  }
  // One connection more than its limit for an address, say; the lanes are what counts.
  if ((lanesUp ?? 0) > 0) return [ok(`${lanesUp} lanes of the edge that runs here are up`)]
  // Without its RPC nobody knows where to dial, and that is told already.
  if (rpc?.ok === false) return []
  const mend = 'ipfs swarm addrs listen # on that node: its TCP port must be reachable from here'
  return [fail(`libp2p: ${swarm.reason}`, mend)]
}

function gatewayOf(name: string, backend: BackendConfig, { gateway: answer }: BackendFacts): Finding[] {
  const { ok, warn } = about(name)
  if (backend.gateway === undefined || answer === undefined) return []
  // RFC 9111 has 504, Kubo 412.
  if (answer === 412 || answer === 504) return [ok('gateway answers, and fetches nothing for us')]
  const mend = onAddress('Gateway', backend.gateway)
  if (typeof answer === 'string') return [warn(`gateway: ${answer}; blocks come by Bitswap`, mend)]
  const redirects = answer >= 300 && answer < 400
  return [
    warn(
      `gateway answers ${answer} for what it does not have, where 412 is due; blocks come by Bitswap`,
      redirects ? 'name it by its IP address: ;gateway=http://10.0.0.11:8080' : mend,
    ),
  ]
}

function settingsOf(
  name: string,
  { rpc, swarm, localAddress }: BackendFacts,
  { config, lanes }: Asking,
): Finding[] {
  if (rpc?.ok !== true) return []
  if (typeof rpc.settings === 'string') {
    const mend = `curl -X POST ${quoted(`${name.replace('backend ', '')}/api/v0/config/show`)} # with API.Authorizations: allow /api/v0/config/show`
    return [about(name).warn(`settings cannot be read: ${rpc.settings}`, mend)]
  }
  const seenAs = swarm.ok ? (swarm.observed ?? localAddress) : localAddress
  return judgeKubo(name, rpc.settings, {
    agent: rpc.agent,
    lanes,
    preload: config.preload.on,
    ...(seenAs !== undefined && { seenAs }),
  })
}
