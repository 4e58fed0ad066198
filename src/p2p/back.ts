import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { Ping } from '@libp2p/ping'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { StartHash } from '#src/bitswap/block.ts'
import { protocols } from '#src/bitswap/protocol.ts'
import { serveQuickly } from '#src/mux/serve-quickly.ts'
import type { BackendAddress, Target } from '#src/p2p/backend-address.ts'
import { Inbound } from '#src/p2p/inbound.ts'
import { Outbound } from '#src/p2p/outbound.ts'
import type { Resends } from '#src/p2p/resends.ts'
import type { BackPeer } from '#src/relay/back-peer.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Relay } from '#src/relay/relay.ts'
import type { Log } from '#src/telemetry/log.ts'
import { asError, describeError } from '#src/util/errors.ts'

/**
 * One lane's connection to one backend, kept up: dialled, verified, used, and dialled again when it is lost.
 *
 * Invariant: the relay knows the lane exactly while its connection is open. Memory: one connection and what
 * `Inbound` and `Outbound` hold.
 */

export interface LaneConnectionDeps {
  readonly host: Libp2p
  readonly relay: Relay
  readonly address: BackendAddress
  readonly log: Log
  /** Hashes what comes while it comes. */
  readonly startHash: StartHash
  /** A number in [0, 1). */
  readonly random: () => number
  /** Shared by all lanes. */
  readonly resends: Resends
}

const dialTimeoutMs = 10_000
const firstBackoffMs = 250
/** A restarted backend is back in use after this at the latest. */
const longestBackoffMs = 5_000
/** How often a backend that owes an answer is asked for a sign of life. */
const pingMs = 2_000
const idlePingMs = 15_000
/** Slow is not gone: a busy event loop on either side must not cost a lane. */
const pingTimeoutMs = 30_000
/** A backend opens a stream per message that it sends. */
const maxStreams = 1_024
const maxHeldBytes = 64 * 1024 * 1024

export class LaneConnection {
  readonly backend: Backend
  readonly slot: number
  /** Why it is down, in words; undefined while it is up. */
  reason: string | undefined = 'not connected yet'
  readonly #deps: LaneConnectionDeps
  readonly #ended = new AbortController()
  #inbound: Inbound | undefined
  #peer: BackPeer | undefined
  #remote: string | undefined
  #failures = 0
  /** When the ping under way was sent. */
  #pingedMs: number | undefined

  constructor(backend: Backend, slot: number, deps: LaneConnectionDeps) {
    this.backend = backend
    this.slot = slot
    this.#deps = deps
  }

  /** Connects and stays connected until `stop`. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#ended
    const { log } = this.#deps
    while (!signal.aborted) {
      let target: Target | undefined
      try {
        target = await this.#deps.address.find()
        const connection = await this.#dial(target, signal)
        this.#failures = 0
        this.reason = undefined
        await this.#use(connection)
        this.reason = 'the connection was lost'
      } catch (error) {
        this.reason = describeError(error)
        // One line for a backend that is down at the start; when one is lost later, its state says so.
        const first = this.#failures === 0 && this.slot === 0 && !signal.aborted
        if (first) log.warn({ backend: this.backend.name, reason: this.reason }, 'Backend cannot be reached')
        else log.debug({ backend: this.backend.name, err: error }, 'Lane not connected')
      }
      if (target !== undefined) this.#deps.address.forget(target)
      await this.#backOff(signal)
    }
  }

  stop(): void {
    this.#ended.abort()
  }

  /** Takes a stream that the backend opened; false if it is not this lane's. */
  accept(stream: Stream, remote: PeerId): boolean {
    if (this.#inbound === undefined || this.#remote !== remote.toString()) return false
    this.#inbound.add(stream)
    return true
  }

  async #dial(target: Target, ended: AbortSignal): Promise<Connection> {
    const addresses = target.addresses.map((address) => multiaddr(address))
    const signal = AbortSignal.any([ended, AbortSignal.timeout(dialTimeoutMs)])
    return this.#deps.host.dial(addresses, { signal })
  }

  /** Serves the connection until it closes. */
  async #use(connection: Connection): Promise<void> {
    const closed = Promise.withResolvers<void>()
    connection.addEventListener('close', () => closed.resolve(), { once: true })
    if (connection.status !== 'open') return
    const outbound: Outbound = new Outbound({
      open: (signal) => connection.newStream([...protocols], { signal, maxOutboundStreams: 16 }),
      take: (version) => peer.take(version),
      stuck: (error) => connection.abort(asError(error)),
      resends: this.#deps.resends,
    })
    const peer: BackPeer = this.#deps.relay.connectLane(this.backend, this.slot, outbound)
    this.#peer = peer
    this.#remote = connection.remotePeer.toString()
    this.#inbound = new Inbound({
      receive: (message) => {
        peer.receive(message)
        return 0
      },
      refuse: (reason) => peer.refuse(reason),
      maxStreams,
      maxHeldBytes,
      startHash: this.#deps.startHash,
    })
    const inbound = this.#inbound
    serveQuickly(connection, protocols, (stream) => inbound.add(stream))
    const pinger = setInterval(() => {
      const nowMs = performance.now()
      outbound.sweep(nowMs)
      this.#deps.resends.sweep(nowMs)
      this.#ping(connection)
    }, pingMs)
    const end = (): void => connection.abort(new Error('the edge stops'))
    this.#ended.signal.addEventListener('abort', end, { once: true })
    await closed.promise
    this.#ended.signal.removeEventListener('abort', end)
    clearInterval(pinger)
    this.#peer = undefined
    this.#inbound = undefined
    outbound.close()
    inbound.close()
    peer.close()
  }

  /**
   * Asks for a sign of life: often while the backend owes an answer, since what answers pings is slow, not
   * gone; now and then otherwise. What answers nothing for long has vanished without a word.
   */
  #ping(connection: Connection): void {
    const nowMs = performance.now()
    this.#inbound?.sweep(nowMs)
    if (this.#pingedMs !== undefined) return
    const quietMs = nowMs - this.backend.heardMs
    if (this.backend.outstanding === 0 && quietMs < idlePingMs) return
    const { ping } = this.#deps.host.services as { ping?: Ping }
    if (ping === undefined) return
    const peer = this.#peer
    this.#pingedMs = nowMs
    ping
      .ping(connection.remotePeer, { signal: AbortSignal.timeout(pingTimeoutMs) })
      .then(
        () => peer?.heard(),
        () => {
          if (performance.now() - this.backend.heardMs > pingTimeoutMs) {
            connection.abort(new Error('the backend answers no ping'))
          }
        },
      )
      .finally(() => {
        this.#pingedMs = undefined
      })
  }

  /** Waits before the next try: longer after each failure, and never in step with others. */
  async #backOff(signal: AbortSignal): Promise<void> {
    const longestMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** this.#failures++)
    const delayMs = longestMs * (0.5 + this.#deps.random() / 2)
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, delayMs)
      function done(): void {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
