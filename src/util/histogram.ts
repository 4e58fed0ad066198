/**
 * A histogram with fixed bucket bounds, cheap enough for a hot path: an observation is a short scan and
 * three additions, and nothing is allocated. Memory is one number per bucket.
 */
export class Histogram {
  /** Upper bounds, ascending; what is above the last one is only in `count` and `sum`. */
  readonly bounds: readonly number[]
  /** Observations per bucket, not cumulative; the last entry is what exceeded every bound. */
  readonly counts: number[]
  count = 0
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Array<number>(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket++
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.count++
    this.sum += value
  }
}
