/** The little statistics that a bench needs. All of it is pure. */

/** The middle and both ends of what was found. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Returns the middle value, the mean of the two middle ones of an even number, NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** Returns median, least and greatest; NaN of none. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) return { median: Number.NaN, min: Number.NaN, max: Number.NaN }
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Returns the slope of the straight line that fits best (least squares), per unit of x; 0 for a single x. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const n = points.length
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n
  let above = 0
  let below = 0
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY)
    below += (x - meanX) ** 2
  }
  return below > 0 ? above / below : 0
}

/** Returns the part of the points whose x lies in the last `share` of the range. */
export function lastPart(
  points: readonly (readonly [number, number])[],
  share: number,
): readonly (readonly [number, number])[] {
  const first = points[0]?.[0] ?? 0
  const last = points.at(-1)?.[0] ?? 0
  return points.filter(([x]) => x >= last - (last - first) * share)
}
