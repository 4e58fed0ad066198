/**
 * An average that follows the latest values: the plain mean of the first `window`, then each value counts for a
 * `window`-th. Memory: two numbers.
 */
export class MovingAverage {
  readonly #window: number
  /** Values seen, counted no further than the window. */
  count = 0
  value = 0

  constructor(window: number) {
    this.#window = window
  }

  forget(): void {
    this.count = 0
    this.value = 0
  }

  observe(value: number): void {
    if (this.count < this.#window) this.count++
    this.value += (value - this.value) / this.count
  }
}
