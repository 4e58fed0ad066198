/**
 * Handshakes that are not over. Whoever can send a datagram can begin one, with any address as sender: so there are at
 * most `total`, and `perAddress` of one address. When there are too many, the eldest whose address is not proved gives
 * way: a flood with made-up senders pushes out its own, and what it pushes out of others it has to push out within a
 * round trip.
 *
 * A client that is turned away goes on sending the same request many times a second; it is told apart by that for a
 * while. Memory: `total` handshakes and `total` turned away.
 */

import { addressGroup } from '#src/p2p/addresses.ts'
import type { StunRequest } from '#src/p2p/webrtc/native.ts'
import { CappedMap } from '#src/util/capped-map.ts'

export interface HalfOpenOptions {
  readonly total: number
  readonly perAddress: number
}

/** One of them, for who carries it out. */
export interface Handshake {
  /** The address is that of the sender: it answered. */
  prove(): void
  /** It is over; calling it again does nothing. */
  over(): void
  /**
   * It is over, and so are the client's others: it begins one from each address that it has, and goes on with one. Only
   * the client knows the credentials that they share.
   */
  won(): void
}

interface Entry {
  readonly ufrag: string
  proved: boolean
  readonly giveUp: () => void
}

export class HalfOpen {
  readonly #options: HalfOpenOptions
  readonly #handshakes = new Map<string, Entry>()
  readonly #perGroup = new Map<string, number>()
  readonly #turnedAway: CappedMap<string, number>

  constructor(options: HalfOpenOptions) {
    this.#options = options
    this.#turnedAway = new CappedMap(options.total)
  }

  get size(): number {
    return this.#handshakes.size
  }

  /** Whether the request is a new one: neither under way nor turned away since `sinceMs`. */
  isNew(request: StunRequest, sinceMs: number): boolean {
    const key = keyOf(request)
    return !this.#handshakes.has(key) && (this.#turnedAway.peek(key) ?? Number.NEGATIVE_INFINITY) < sinceMs
  }

  /** The client need not ask again for a while. */
  turnAway(request: StunRequest, nowMs: number): void {
    this.#turnedAway.set(keyOf(request), nowMs)
  }

  /** Whether there is room for one more of that address; if need be another gives way. */
  makeRoom({ host }: StunRequest): boolean {
    if ((this.#perGroup.get(addressGroup(host)) ?? 0) >= this.#options.perAddress) return false
    if (this.#handshakes.size < this.#options.total) return true
    for (const handshake of this.#handshakes.values()) {
      if (handshake.proved) continue
      handshake.giveUp()
      return true
    }
    return false
  }

  /** Begins one, which `giveUp` ends; it is over then. */
  begin(request: StunRequest, giveUp: () => void): Handshake {
    const key = keyOf(request)
    const group = addressGroup(request.host)
    const over = (): void => {
      if (this.#handshakes.get(key) !== entry) return
      this.#handshakes.delete(key)
      const left = (this.#perGroup.get(group) ?? 1) - 1
      if (left > 0) this.#perGroup.set(group, left)
      else this.#perGroup.delete(group)
    }
    const entry: Entry = {
      ufrag: request.ufrag,
      proved: false,
      giveUp: () => {
        over()
        giveUp()
      },
    }
    this.#handshakes.set(key, entry)
    this.#perGroup.set(group, (this.#perGroup.get(group) ?? 0) + 1)
    return {
      over,
      won: () => {
        over()
        for (const other of [...this.#handshakes.values()]) if (other.ufrag === request.ufrag) other.giveUp()
      },
      prove: () => {
        entry.proved = true
      },
    }
  }

  /** Ends all of them. */
  clear(): void {
    for (const handshake of [...this.#handshakes.values()]) handshake.giveUp()
  }
}

function keyOf({ host, port, ufrag }: StunRequest): string {
  return `${host} ${port} ${ufrag}`
}
