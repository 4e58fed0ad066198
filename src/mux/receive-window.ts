/**
 * What a peer may still send on one stream. It starts at the 256 KiB that yamux has by definition, and doubles while the
 * peer uses half of it within `fastMs`, as far as the connection's allowance goes.
 *
 * Invariant: granted + unread never exceeds the window, so what is unread of a stream is at most its window.
 */

export const initialWindow = 256 * 1024

/** Half a window within this time: the window may be what holds the peer up, whatever the round trip. */
const fastMs = 500

/** What the windows of a connection may grow by, all together. */
export interface Allowance {
  leftBytes: number
}

export class ReceiveWindow {
  readonly #largest: number
  readonly #allowance: Allowance
  #window = initialWindow
  #granted = initialWindow
  #updatedMs: number

  /** `allowance` is shared by the streams of a connection. */
  constructor(largest: number, allowance: Allowance, nowMs: number) {
    this.#largest = largest
    this.#allowance = allowance
    this.#updatedMs = nowMs
  }

  /** What the peer may still send. */
  get unused(): number {
    return this.#granted
  }

  /** Makes the window `bytes` wide, if the allowance has that; returns what to grant the peer for it. */
  widen(bytes: number): number {
    const more = Math.min(bytes - this.#window, this.#largest - this.#window, this.#allowance.leftBytes)
    return more <= 0 ? 0 : this.#grow(more)
  }

  /** The peer sends `bytes`; false when it may not. */
  charge(bytes: number): boolean {
    if (bytes > this.#granted) return false
    this.#granted -= bytes
    return true
  }

  /** Returns what to grant the peer, given what is unread: nothing until it is half the window. */
  replenish(unread: number, nowMs: number): number {
    const taken = this.#window - this.#granted - unread
    if (taken * 2 < this.#window) return 0
    let grant = taken
    this.#granted += taken
    if (nowMs - this.#updatedMs <= fastMs) grant += this.widen(2 * this.#window)
    this.#updatedMs = nowMs
    return grant
  }

  /** The stream is over: what its window grew by is there for others. */
  release(): void {
    this.#allowance.leftBytes += this.#window - initialWindow
    this.#window = initialWindow
  }

  #grow(more: number): number {
    this.#window += more
    this.#granted += more
    this.#allowance.leftBytes -= more
    return more
  }
}
