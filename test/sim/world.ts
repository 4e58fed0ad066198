import { Heap } from '#src/util/heap.ts'

/**
 * Time and chance of a simulation: events run in the order of their time, and everything random comes from
 * one seed, so that a run is the same each time.
 */
export class World {
  #nowMs = 0
  #sequence = 0
  #state: number
  readonly #events = new Heap<Event>((a, b) =>
    a.atMs === b.atMs ? a.sequence < b.sequence : a.atMs < b.atMs,
  )

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** The Clock of what is simulated. */
  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.#nowMs + Math.max(0, delayMs), run)
  }

  /** Events of the same time run in the order in which they were set. */
  at(atMs: number, run: () => void): void {
    this.#events.push({ atMs, sequence: this.#sequence++, run })
  }

  every(periodMs: number, run: () => void): void {
    this.after(periodMs, () => {
      run()
      this.every(periodMs, run)
    })
  }

  /** Runs until `done` says so (true) or the time is over (false). */
  run(limitMs: number, done: () => boolean): boolean {
    const endMs = this.#nowMs + limitMs
    while (!done()) {
      const next = this.#events.peek()
      if (next === undefined || next.atMs > endMs) {
        this.#nowMs = endMs
        return done()
      }
      this.#events.pop()
      this.#nowMs = next.atMs
      next.run()
    }
    return true
  }

  /** Lets so much time pass. */
  pass(ms: number): void {
    this.run(ms, () => false)
  }

  /** A number in [0, 1) (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number in [from, to]. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1))
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)] as T
  }
}

interface Event {
  readonly atMs: number
  readonly sequence: number
  readonly run: () => void
}
