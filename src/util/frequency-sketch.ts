/**
 * How often something was counted lately, roughly, in a fixed few bytes: a count-min sketch of four rows of
 * four-bit counters (Cormode and Muthukrishnan 2005; as an admission filter: TinyLFU, Einziger et al. 2017).
 *
 * Invariant: an estimate is never below the number of times counted (15 at most) since the last `halve`, and
 * above it only where others share all four counters. Memory: two bytes per column, whatever is counted.
 */
export class FrequencySketch {
  readonly #words: Int32Array
  readonly #columns: number
  /** How much was counted; halved with the counters. */
  counted = 0

  /** `columns` is rounded up to a power of two; about as many different things can be told apart. */
  constructor(columns: number) {
    this.#columns = 2 ** Math.max(3, Math.ceil(Math.log2(columns)))
    this.#words = new Int32Array((rows * this.#columns) / perWord)
  }

  get byteLength(): number {
    return this.#words.byteLength
  }

  /** Counts what `hash` stands for: 32 bits that are well mixed. Only its lowest counters rise. */
  count(hash: number): void {
    this.counted++
    const words = this.#words
    const least = this.estimate(hash)
    if (least === highest) return
    const step = stepOf(hash)
    for (let row = 0, at = hash; row < rows; row++, at += step) {
      const counter = this.#counter(row, at)
      const shift = (counter % perWord) * 4
      const word = words[counter >>> 3] as number
      if (((word >>> shift) & highest) === least) words[counter >>> 3] = word + (1 << shift)
    }
  }

  /** Returns how often `hash` was counted, 0 to 15. */
  estimate(hash: number): number {
    const step = stepOf(hash)
    let least = highest
    for (let row = 0, at = hash; row < rows; row++, at += step) {
      const counter = this.#counter(row, at)
      const value = ((this.#words[counter >>> 3] as number) >>> ((counter % perWord) * 4)) & highest
      if (value < least) least = value
    }
    return least
  }

  /** Halves every counter, so that what was asked for long ago is forgotten. */
  halve(): void {
    const words = this.#words
    for (let i = 0; i < words.length; i++) words[i] = ((words[i] as number) >>> 1) & 0x7777_7777
    this.counted >>>= 1
  }

  #counter(row: number, at: number): number {
    return row * this.#columns + (at & (this.#columns - 1))
  }
}

const rows = 4
const perWord = 8
const highest = 15

/** How far the columns of one hash are apart: odd, and independent of where the first one is. */
function stepOf(hash: number): number {
  return (Math.imul(hash, 0x9e37_79b1) >>> 8) | 1
}
