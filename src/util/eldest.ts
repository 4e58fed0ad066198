/**
 * Finds the entries of a Map or a Set in the order in which they were added, for owners that take out the eldest again
 * and again. A new iterator would step over the holes that those taken before have left: tens of microseconds each in a
 * large one (measured with 100,000 entries: 81 µs against 0.6).
 *
 * Invariant: every key that `take` has returned is deleted by its owner before the next call. Memory: one iterator.
 */
export class Eldest<K> {
  readonly #entries: { keys(): Iterator<K>; readonly size: number }
  #iterator: Iterator<K>

  constructor(entries: { keys(): Iterator<K>; readonly size: number }) {
    this.#entries = entries
    this.#iterator = entries.keys()
  }

  /** Returns the eldest key, or undefined when there is none. */
  take(): K | undefined {
    if (this.#entries.size === 0) return undefined
    const next = this.#iterator.next()
    if (next.done !== true) return next.value
    // It came to the end while there was nothing more, and stays there.
    this.#iterator = this.#entries.keys()
    return this.#iterator.next().value
  }
}
