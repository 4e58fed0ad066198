/**
 * Who may connect. Counts every inbound socket from its first packet to its close, in all and per remote
 * address, so that a flood of half-open handshakes is bounded like any other: each is a socket, and the
 * upgrade timeout closes it.
 *
 * Bounded by `maxConnections`: the map holds an address only while a socket of it is open.
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

/** Takes one socket out of the count; calling it again does nothing. */
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

  /** Refuses every socket from now on; those that are open stay. */
  close(): void {
    this.#closed = true
  }

  /** Counts a socket of `host` and returns how to uncount it; `undefined` is a refusal, already reported. */
  enter(host: string): Leave | undefined {
    const group = addressGroup(host)
    const count = this.#perGroup.get(group) ?? 0
    const reason = this.#reasonAgainst(count)
    if (reason !== undefined) {
      this.#deps.refused(reason)
      return undefined
    }
    this.#open++
    this.#perGroup.set(group, count + 1)
    let inside = true
    return () => {
      if (!inside) return
      inside = false
      this.#open--
      const left = (this.#perGroup.get(group) ?? 1) - 1
      if (left > 0) this.#perGroup.set(group, left)
      else this.#perGroup.delete(group)
    }
  }

  /** Marks a connection whose socket was already counted by `enter`. */
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

  #admits(connection: MultiaddrConnection): boolean {
    if (this.#admitted.has(connection)) return true
    // Closed before it was asked about: its close event is over, counting it would be for ever.
    if (connection.status !== 'open') return false
    const leave = this.enter(remoteHost(connection.remoteAddr))
    if (leave === undefined) return false
    connection.addEventListener('close', leave, { once: true })
    return true
  }

  #reasonAgainst(countOfGroup: number): RefusalReason | undefined {
    if (this.#closed) return 'draining'
    if (this.#open >= this.#options.maxConnections) return 'too-many-connections'
    if (countOfGroup >= this.#options.maxConnectionsPerAddress) return 'too-many-connections-per-address'
    return undefined
  }
}
