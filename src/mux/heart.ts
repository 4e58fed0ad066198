/**
 * One timer that keeps all connections alive: a ping now and then, so that what stands between (NAT, load balancers)
 * does not take a quiet connection for a dead one, and an end for streams whose opener says nothing.
 *
 * Memory: one entry per connection, from `join` to `leave`; no timer runs without any.
 */

/** A connection, as the heart sees it. */
export interface Beat {
  /** When the peer was heard last. */
  readonly heardMs: number
  ping(): void
  /** Ends streams that have not said what they are for since `sinceMs`. */
  dropSilent(sinceMs: number): void
}

/** Each connection is looked at once in so many ticks, so that not all are pinged in one turn of the loop. */
const slots = 30
const tickMs = 1_000
/** Who was heard this lately needs no ping. */
const quietMs = 20_000
/** From opening a stream to naming its protocol. */
const silentMs = 10_000

export class Heart {
  readonly #slots: Set<Beat>[] = Array.from({ length: slots }, () => new Set())
  readonly #slotOf = new Map<Beat, Set<Beat>>()
  #turn = 0
  #timer: ReturnType<typeof setInterval> | undefined

  join(beat: Beat): void {
    // One after the other, so that all slots are about equally full.
    const slot = this.#slots[(this.#turn + this.#slotOf.size) % slots] as Set<Beat>
    slot.add(beat)
    this.#slotOf.set(beat, slot)
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.tick(performance.now()), tickMs)
    this.#timer.unref()
  }

  leave(beat: Beat): void {
    this.#slotOf.get(beat)?.delete(beat)
    this.#slotOf.delete(beat)
    if (this.#slotOf.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Looks at one slot. */
  tick(nowMs: number): void {
    this.#turn = (this.#turn + 1) % slots
    for (const beat of this.#slots[this.#turn] as Set<Beat>) {
      beat.dropSilent(nowMs - silentMs)
      if (nowMs - beat.heardMs > quietMs) beat.ping()
    }
  }
}

/** That of this process. */
export const heart = new Heart()
