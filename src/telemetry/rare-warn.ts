/**
 * Warnings about trouble that repeats: at most one line per key and interval, with the count of those left out.
 * Memory: `maxKeys` keys; what exceeds them shares one key, so that a flood of keys is no flood of lines.
 */
import type { Log, LogFields } from '#src/telemetry/log.ts'

export interface RareWarnOptions {
  /** One line per key in this time. Default 10 s: often enough to see that it goes on. */
  readonly intervalMs?: number
  /** Keys remembered at once. Default 256: far more than there are kinds of trouble times backends. */
  readonly maxKeys?: number
  /** Milliseconds from any origin. */
  readonly now?: () => number
}

/** Warns unless the same key warned within the interval. The message is constant per key. */
export type RareWarn = (key: string, fields: LogFields, message: string) => void

/**
 * Returns a `warn` for repeated trouble. A line that follows left-out ones carries their number as `suppressed`.
 * There is no timer: when the trouble ends, the last few left-out lines stay untold.
 */
export function createRareWarn(log: Log, options: RareWarnOptions = {}): RareWarn {
  const { intervalMs = 10_000, maxKeys = 256, now = () => performance.now() } = options
  const heard = new Map<string, { sinceMs: number; suppressed: number }>()
  const overflow = { sinceMs: Number.NEGATIVE_INFINITY, suppressed: 0 }

  const entryOf = (key: string, atMs: number) => {
    const known = heard.get(key)
    if (known !== undefined) return known
    if (heard.size >= maxKeys) {
      // Re-inserted at each line, entries are in order of age: stop at the first that is still young.
      for (const [old, entry] of heard) {
        if (atMs - entry.sinceMs < intervalMs) break
        heard.delete(old)
      }
    }
    return heard.size >= maxKeys ? overflow : { sinceMs: Number.NEGATIVE_INFINITY, suppressed: 0 }
  }

  return (key, fields, message) => {
    const atMs = now()
    const entry = entryOf(key, atMs)
    if (atMs - entry.sinceMs < intervalMs) {
      entry.suppressed++
      return
    }
    const { suppressed } = entry
    entry.sinceMs = atMs
    entry.suppressed = 0
    if (entry !== overflow) {
      heard.delete(key)
      heard.set(key, entry)
    }
    log.warn(suppressed === 0 ? fields : { ...fields, suppressed }, message)
  }
}
