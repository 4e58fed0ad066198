import type { Libp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import type { StartHash } from '#src/bitswap/block.ts'
import { maxBlockBytes, protocols } from '#src/bitswap/protocol.ts'
import type { BackendConfig } from '#src/config/config.ts'
import { LaneConnection } from '#src/p2p/back.ts'
import { BackendAddress } from '#src/p2p/backend-address.ts'
import { maxResendBytes, Resends } from '#src/p2p/resends.ts'
import type { BackendStatus } from '#src/pool/backend.ts'
import { byAffinity } from '#src/pool/policy.ts'
import type { Backend, BackendRpc } from '#src/relay/backend.ts'
import type { FetchByRpc } from '#src/relay/ports.ts'
import type { Relay } from '#src/relay/relay.ts'
import type { RpcTarget } from '#src/rpc/answers.ts'
import { readByGateway } from '#src/rpc/gateway.ts'
import { KuboRpc } from '#src/rpc/kubo.ts'
import type { Log } from '#src/telemetry/log.ts'
import { fromKey } from '#src/util/bytes.ts'

/**
 * The backends as the shell sees them: each with its address, its RPC and its lanes' connections.
 *
 * Invariant: every backend has a connection loop per lane from `start` to `stop`. Memory: what those hold.
 */

export interface PoolDeps {
  readonly relay: Relay
  /** One host per lane, each with an identity of its own, shared by all backends. */
  readonly hosts: readonly Libp2p[]
  readonly log: Log
  readonly startHash: StartHash
  /** Returns what a backend can be told of preload; nothing where that is off. */
  readonly preload: (config: BackendConfig & { kind: 'rpc' }) => Pick<BackendRpc, 'refs' | 'keep'>
}

interface Member {
  readonly backend: Backend
  readonly config: BackendConfig
  readonly address: BackendAddress
  readonly lanes: readonly LaneConnection[]
}

export class BackendPool {
  readonly #members: readonly Member[]
  readonly #hosts: readonly Libp2p[]
  #running: Promise<unknown> = Promise.resolve()

  constructor(configs: readonly BackendConfig[], deps: PoolDeps) {
    this.#hosts = deps.hosts
    const shared = { ...deps, random: Math.random, resends: new Resends(maxResendBytes) }
    this.#members = configs.map((config) => {
      const rpc = config.kind === 'rpc' ? new KuboRpc(config) : undefined
      const address = new BackendAddress(config, rpc)
      const backend = deps.relay.addBackend(config.name, {
        ...(rpc && { fetch: fetchBy(rpc, config.name, deps.log) }),
        ...(config.kind === 'rpc' && deps.preload(config)),
        ...(config.gateway !== undefined && { gateway: readByGateway(config.gateway) }),
      })
      const lanes = deps.hosts.map(
        (host, slot) => new LaneConnection(backend, slot, { ...shared, host, address }),
      )
      return { backend, config, address, lanes }
    })
  }

  /** Starts to connect; resolves when the hosts take streams, not when a backend is up. */
  async start(): Promise<void> {
    for (const [slot, host] of this.#hosts.entries()) {
      await host.handle(
        [...protocols],
        (stream, connection) => {
          const lanes = this.#members.map((member) => member.lanes[slot])
          if (!lanes.some((lane) => lane?.accept(stream, connection.remotePeer))) {
            stream.abort(new Error('not a backend'))
          }
        },
        { maxInboundStreams: 2_048, maxOutboundStreams: 16 },
      )
    }
    this.#running = Promise.all(this.#members.flatMap(({ lanes }) => lanes.map((lane) => lane.run())))
  }

  async stop(): Promise<void> {
    for (const { lanes } of this.#members) for (const lane of lanes) lane.stop()
    await this.#running
  }

  /** Returns the RPC of a ready backend: the one preferred, or for equal keys the same one where possible. */
  rpcFor(key: string, preferred?: Backend): RpcTarget | undefined {
    const first = this.#members.find(({ backend }) => backend === preferred)
    if (first?.backend.ready && first.config.kind === 'rpc') return first.config
    for (const { config } of this.#readyFor(key)) if (config.kind === 'rpc') return config
    return undefined
  }

  /** The same for gateways. */
  gatewayFor(key: string): RpcTarget | undefined {
    for (const { config } of this.#readyFor(key))
      if (config.gateway !== undefined) return { url: config.gateway }
    return undefined
  }

  /** Says whether a peer ID, in base58, is that of a backend. */
  isBackend(peerId: string): boolean {
    return this.#members.some(({ address }) => address.known?.peerId === peerId)
  }

  *#readyFor(key: string): Generator<Member> {
    const members = this.#members.map((member) => ({ name: member.backend.name, member }))
    for (const { member } of byAffinity(key, members)) if (member.backend.ready) yield member
  }

  /** What an operator may know of each backend. */
  get status(): BackendStatus[] {
    return this.#members.map(({ backend, address, lanes }) => {
      const up = backend.lanes.filter((lane) => lane.up).length
      const reason = reasonOf(backend, lanes)
      return {
        name: backend.name,
        state: backend.state,
        ...(reason !== undefined && { reason }),
        ...(address.known && { peerId: address.known.peerId }),
        ...(address.known?.agent !== undefined && { agent: address.known.agent }),
        addresses: address.known?.addresses ?? [],
        lanes: { up, configured: lanes.length },
        outstanding: backend.outstanding,
        blocks: backend.blocks,
        bytes: backend.bytes,
        latencyMs: backend.latencyMs,
      }
    })
  }
}

function reasonOf(backend: Backend, lanes: readonly LaneConnection[]): string | undefined {
  if (backend.state === 'ready') return undefined
  if (backend.state === 'unresponsive') return 'connected, but nothing is answered'
  return lanes.find((lane) => lane.reason !== undefined)?.reason ?? 'not connected'
}

/** Returns how the relay tells this backend to fetch a block. */
function fetchBy(rpc: KuboRpc, name: string, log: Log): FetchByRpc {
  return (cid, timeoutMs, done) => {
    const abandoned = new AbortController()
    const text = CID.decode(fromKey(cid)).toString()
    const options = { timeoutMs, maxBytes: maxBlockBytes, signal: abandoned.signal }
    rpc.blockGet(text, options).then((answer) => {
      if (abandoned.signal.aborted) return
      if (answer.kind !== 'error') return done(answer)
      log.debug({ backend: name, cid: text, reason: answer.reason, detail: answer.detail }, 'Fetch failed')
      done(answer.reason === 'timeout' ? { kind: 'timeout' } : { kind: 'error', reason: answer.reason })
    })
    return () => abandoned.abort()
  }
}
