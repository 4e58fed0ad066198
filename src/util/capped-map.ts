import { Eldest } from '#src/util/eldest.ts'

/**
 * A map that holds at most `capacity` entries and forgets the least recently touched one beyond that.
 * Invariant: iteration order is age, oldest first. Memory: `capacity` entries.
 */
export class CappedMap<K, V> {
  readonly #entries = new Map<K, V>()
  readonly #eldest = new Eldest(this.#entries)
  readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.#entries.size
  }

  /** Returns the value and makes the entry the youngest. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** Returns the value without touching its age. */
  peek(key: K): V | undefined {
    return this.#entries.get(key)
  }

  set(key: K, value: V): void {
    if (this.capacity <= 0) return
    if (!this.#entries.delete(key) && this.#entries.size >= this.capacity) {
      this.#entries.delete(this.#eldest.take() as K)
    }
    this.#entries.set(key, value)
  }

  /** Yields the values, the oldest first. */
  values(): IterableIterator<V> {
    return this.#entries.values()
  }

  /** Yields keys with their values, the oldest first. */
  entries(): IterableIterator<[K, V]> {
    return this.#entries.entries()
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }
}
