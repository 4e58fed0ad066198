import { type Parsed, refused, taken } from '#src/config/parsed.ts'

/*
 * Values in a query as Go reads them, since that is how clients of Kubo have learned to write them.
 */

/** Returns a boolean as `strconv.ParseBool` reads it in Kubo: any case, and an option without a value is on. */
export function parseGoBool(text: string): Parsed<boolean> {
  const word = text.toLowerCase()
  if (['', '1', 't', 'true'].includes(word)) return taken(true)
  if (['0', 'f', 'false'].includes(word)) return taken(false)
  return refused('is neither true nor false')
}

const maxInt = 2 ** 31 - 1

/** Returns a whole number of 32 bits. */
export function parseGoInt(text: string): Parsed<number> {
  const value = /^[+-]?\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  return Math.abs(value) <= maxInt ? taken(value) : refused('is not a whole number')
}

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // The micro sign, and the Greek letter that looks like it.
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}
const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy
/** The longest timer that a runtime keeps, 24 days. */
const maxMs = 2 ** 31 - 1

/**
 * Returns milliseconds, 1 at least, for a duration as `time.ParseDuration` reads it: "1h2m3.5s", "300ms", "5us". One
 * that is over before it begins is refused: Kubo would fail, and whoever sends it means no limit or a mistake.
 */
export function parseGoDuration(text: string): Parsed<number> {
  const malformed = refused('is not a duration; write it as "30s", "1m30s" or "500ms"')
  if (text.length > 64) return malformed
  const unsigned = text.startsWith('+') ? text.slice(1) : text
  if (/^(-.*|0)$/.test(unsigned)) return refused('is not above 0; leave it out for no limit')
  let ms = 0
  let end = 0
  for (const match of unsigned.matchAll(part)) {
    ms += Number(match[1]) * (unitsMs[match[2] ?? ''] ?? 0)
    end = match.index + match[0].length
  }
  if (end === 0 || end < unsigned.length) return malformed
  if (ms === 0) return refused('is not above 0; leave it out for no limit')
  return taken(Math.min(maxMs, Math.max(1, Math.round(ms))))
}
