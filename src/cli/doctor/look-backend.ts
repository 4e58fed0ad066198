/**
 * Asks a backend everything that is to be judged. Never throws; each question has its time. Nothing on it is changed.
 */

import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { BackendFacts } from '#src/cli/doctor/judge-backend.ts'
import type { BackendConfig, ConnectionSecurity } from '#src/config/config.ts'
import { plainHost } from '#src/p2p/addresses.ts'
import { probeBackend } from '#src/p2p/probe.ts'
import { faults, parseObject } from '#src/rpc/answers.ts'
import { boundedFetch, type Fetch } from '#src/rpc/bounded-fetch.ts'
import { callRpc } from '#src/rpc/call.ts'
import { KuboRpc } from '#src/rpc/kubo.ts'
import { describeError } from '#src/util/errors.ts'

const timeoutMs = 5_000
const maxSettingsBytes = 1024 * 1024
const rawCodec = 0x55
const sha256Hash = 0x12

/** `lanesUp` is what the edge that runs here says of it. */
export async function lookAtBackend(
  backend: BackendConfig,
  security: ConnectionSecurity,
  lanesUp: number | undefined,
): Promise<BackendFacts> {
  const [rpc, swarm, gateway, localAddress] = await Promise.all([
    backend.kind === 'rpc' ? askRpc(backend) : undefined,
    probeBackend(backend, { timeoutMs, security }),
    backend.gateway === undefined ? undefined : askGateway(backend.gateway),
    backend.kind === 'rpc' ? localAddressTowards(new URL(backend.url)) : undefined,
  ])
  return {
    swarm,
    ...(rpc !== undefined && { rpc }),
    ...(gateway !== undefined && { gateway }),
    ...(localAddress !== undefined && { localAddress }),
    ...(lanesUp !== undefined && { lanesUp }),
  }
}

async function askRpc(backend: BackendConfig & { kind: 'rpc' }): Promise<BackendFacts['rpc']> {
  let clockAheadMs: number | undefined
  const timed: Fetch = async (url, init) => {
    const sentAtMs = Date.now()
    const response = await fetch(url, init)
    const told = Date.parse(response.headers.get('date') ?? '')
    if (!Number.isNaN(told)) clockAheadMs = told - (sentAtMs + Date.now()) / 2
    return response
  }
  const rpc = new KuboRpc({ ...backend, fetch: timed, idTimeoutMs: timeoutMs })
  try {
    const { agentVersion } = await rpc.id()
    return {
      ok: true,
      agent: agentVersion,
      ...(clockAheadMs !== undefined && { clockAheadMs }),
      settings: await askSettings(backend),
    }
  } catch (error) {
    return { ok: false, reason: describeError(error) }
  }
}

async function askSettings(backend: BackendConfig & { kind: 'rpc' }) {
  const limits = { timeoutMs, maxBytes: maxSettingsBytes }
  const outcome = await callRpc((url, init) => fetch(url, init), backend, 'config/show', [], limits)
  if (outcome.kind === 'fault') return outcome.detail ?? faults[outcome.fault]
  return parseObject(outcome.bytes) ?? 'config/show answers something else than settings'
}

async function askGateway(gateway: string): Promise<number | string> {
  const answer = await boundedFetch((url, init) => fetch(url, init), {
    url: `${gateway}/ipfs/${unknownBlock()}?format=raw`,
    method: 'GET',
    headers: { 'cache-control': 'only-if-cached', accept: 'application/vnd.ipld.raw' },
    timeoutMs,
    maxBytes: 64 * 1024,
  })
  if (answer.kind === 'answer') return answer.status
  return answer.kind === 'unreachable' ? describeError(answer.cause) : answer.kind
}

/** What a digest of chance is the digest of, nobody knows. */
function unknownBlock(): string {
  return CID.createV1(rawCodec, createDigest(sha256Hash, randomBytes(32))).toString()
}

/** In a private network that is how a backend sees us; it says so itself where libp2p answers. */
function localAddressTowards({ hostname, port, protocol }: URL): Promise<string | undefined> {
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    const socket = connect({ host, port: Number(port) || (protocol === 'https:' ? 443 : 80) })
    const end = (address: string | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(address)
    }
    const timer = setTimeout(() => end(undefined), timeoutMs)
    socket.once('connect', () => end(plainHost(socket.localAddress ?? '')))
    socket.once('error', () => end(undefined))
  })
}
