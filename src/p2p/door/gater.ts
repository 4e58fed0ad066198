/**
 * Who may connect. Counts every inbound socket from its first packet to its close, in all and per remote
 * address, so that a flood of half-open handshakes is bounded like any other: each is a socket, and the
 * upgrade timeout closes it. A socket of a load balancer counts in all from the first; for an address only
 * once it is known whose it is, and then for that one.
 *
 * Bounded by `maxConnections`: the map holds an address only while a socket of it is open, or a request that
 * came through one.
 */

import type { ConnectionGater, MultiaddrConnection } from '@libp2p/interface'
import { addressGroup, remoteHost } from '#src/p2p/addresses.ts'
import type { RefusalReason } from '#src/relay/counters.ts'

export interface GateOptions {
  /** Inbound sockets in all. */
  readonly maxConnections: number
  /** Inbound sockets of one IPv4 address, or of one IPv6 /64: who has one address there has them all. */
  readonly maxConnectionsPerAddress: number
}

export interface GateDeps {
  /** Called once for each refusal. */
  readonly refused: (reason: RefusalReason) => void
}

/** Takes what was counted out of the count; calling it again does nothing. */
export type Leave = () => void

export class Gate {
  readonly #deps: GateDeps
  readonly #options: GateOptions
  readonly #perGroup = new Map<string, number>()
  readonly #admitted = new WeakSet<MultiaddrConnection>()
  #open = 0
  #closed = false

  constructor(deps: GateDeps, options: GateOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** Inbound sockets open now, handshakes and HTTP included. */
  get open(): number {
    return this.#open
  }

  /** Addresses with a socket open now. */
  get addresses(): number {
    return this.#perGroup.size
  }

  /** Nobody new comes in any more. */
  get closed(): boolean {
    return this.#closed
  }

  /** Refuses every socket from now on; those that are open stay. */
  close(): void {
    this.#closed = true
  }

  /** Reports a refusal that another part decided on. */
  refuse(reason: RefusalReason): void {
    this.#deps.refused(reason)
  }

  /** Counts a socket in all and returns how to uncount it; `undefined` is a refusal, already reported. */
  enter(): Leave | undefined {
    const full = this.#open >= this.#options.maxConnections
    if (this.#closed || full) {
      this.refuse(this.#closed ? 'draining' : 'too-many-connections')
      return undefined
    }
    this.#open++
    return once(() => this.#open--)
  }

  /**
   * Counts for `host` a socket that has entered, or one request on a socket that a load balancer shares among
   * its clients; otherwise as `enter`.
   */
  countFor(host: string): Leave | undefined {
    const group = addressGroup(host)
    const count = this.#perGroup.get(group) ?? 0
    if (count >= this.#options.maxConnectionsPerAddress) {
      this.refuse('too-many-connections-per-address')
      return undefined
    }
    this.#perGroup.set(group, count + 1)
    return once(() => {
      const left = (this.#perGroup.get(group) ?? 1) - 1
      if (left > 0) this.#perGroup.set(group, left)
      else this.#perGroup.delete(group)
    })
  }

  /** Marks a connection whose socket was already counted. */
  vouchFor(connection: MultiaddrConnection): void {
    this.#admitted.add(connection)
  }

  /** The gate as libp2p asks it, for a front host: it dials nobody. */
  connectionGater(): ConnectionGater {
    return {
      denyDialPeer: () => true,
      denyDialMultiaddr: () => true,
      denyOutboundConnection: () => true,
      denyInboundConnection: (connection) => !this.#admits(connection),
    }
  }

  /** Connections of transports whose sockets do not come in by a door of ours. */
  #admits(connection: MultiaddrConnection): boolean {
    if (this.#admitted.has(connection)) return true
    // Closed before it was asked about: its close event is over, counting it would be for ever.
    if (connection.status !== 'open') return false
    const leave = this.enter()
    if (leave === undefined) return false
    connection.addEventListener('close', leave, { once: true })
    const uncount = this.countFor(remoteHost(connection.remoteAddr))
    if (uncount === undefined) {
      // Not only when it is closed: a burst from one address would take up everybody's places until then.
      leave()
      return false
    }
    connection.addEventListener('close', uncount, { once: true })
    return true
  }
}

function once(action: () => void): Leave {
  let done = false
  return () => {
    if (done) return
    done = true
    action()
  }
}
