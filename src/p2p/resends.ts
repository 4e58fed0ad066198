/**
 * Who keeps its last message, to send it again: a peer that resets our stream right after a message may not have read
 * it, and js-ipfs never asks twice.
 *
 * Invariant: what is kept is `maxBytes` together at most, and none of it longer than `resendMs`; the eldest are let go
 * first. Memory: one entry per owner that keeps something. The messages stay with their owners: a Map that blocks come into
 * and leave by the hundred keeps them, after it has grown, until the next full collection (see `util/emptied`).
 */
export class Resends {
  readonly #maxBytes: number
  readonly #keepers = new Map<Keeper, { readonly bytes: number; readonly sinceMs: number }>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `keeper` keeps a message of `bytes` from now on. */
  add(keeper: Keeper, bytes: number, nowMs: number): void {
    this.remove(keeper)
    this.#keepers.set(keeper, { bytes, sinceMs: nowMs })
    this.#bytes += bytes
    for (const eldest of this.#keepers.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      eldest.letGo()
    }
  }

  /** It keeps none any more. */
  remove(keeper: Keeper): void {
    this.#bytes -= this.#keepers.get(keeper)?.bytes ?? 0
    this.#keepers.delete(keeper)
  }

  /** Has what is too old let go. */
  sweep(nowMs: number): void {
    for (const [keeper, { sinceMs }] of this.#keepers) {
      if (nowMs - sinceMs <= resendMs) return
      keeper.letGo()
    }
  }
}

/** Keeps a message. */
export interface Keeper {
  /** Forgets it, and has itself removed. */
  letGo(): void
}

/** A reset later than this is of another matter than the last message. */
export const resendMs = 15_000

/** For the clients, and as much for the backends: what some hundreds of them have under way. */
export const maxResendBytes = 64 * 1024 * 1024
