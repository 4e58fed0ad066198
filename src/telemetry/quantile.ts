import type { Histogram } from '#src/util/histogram.ts'

/**
 * Returns an estimate of the q-quantile (0 to 1) in the histogram's unit: linear inside the bucket it falls
 * into, the last bound for what exceeded every bound, `undefined` without observations.
 */
export function estimateQuantile(histogram: Histogram, q: number): number | undefined {
  if (histogram.count === 0) return undefined
  const rank = q * histogram.count
  let below = 0
  for (const [bucket, bound] of histogram.bounds.entries()) {
    const inside = histogram.counts[bucket] as number
    if (inside > 0 && below + inside >= rank) {
      const lower = bucket === 0 ? 0 : (histogram.bounds[bucket - 1] as number)
      return lower + (bound - lower) * ((rank - below) / inside)
    }
    below += inside
  }
  return histogram.bounds.at(-1)
}
