import { type Parsed, refused, taken } from '#src/config/parsed.ts'

/*
 * The scalar values of the environment. Every number that has a unit must be written with it: a bare `30` has
 * been read as seconds by one person and as milliseconds by another often enough.
 */

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}
const quantity = /^(\d{1,16}(?:\.\d{1,6})?)\s?([A-Za-z]*)$/
/** The longest timer a runtime keeps: beyond it `setTimeout` fires at once. */
const maxTimerMs = 2 ** 31 - 1

function parseQuantity(
  text: string,
  what: string,
  units: Readonly<Record<string, number>>,
  samples: string,
): Parsed<number> {
  const match = quantity.exec(text.trim())
  if (match === null) return refused(`is not a ${what}; write a number and a unit, such as ${samples}`)
  const [, digits = '', unit = ''] = match
  if (unit === '') return refused(`has no unit; write it out, such as ${samples}`)
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  if (factor === undefined) {
    return refused(`has the unknown unit "${unit}"; units are ${Object.keys(units).join(', ')}`)
  }
  const value = Number(digits) * factor
  if (!Number.isSafeInteger(value))
    return refused(`is no whole number of ${what === 'size' ? 'bytes' : 'ms'}`)
  return taken(value)
}

/** Returns milliseconds for "500ms", "30s", "2m" or "1h". `0s` is a duration, `0` is not. */
export function parseDuration(text: string): Parsed<number> {
  const parsed = parseQuantity(text, 'duration', durationUnits, '"30s", "500ms", "2m" or "1h"')
  return parsed.ok && parsed.value > maxTimerMs
    ? refused('is longer than the 24 days a timer can wait')
    : parsed
}

/** Returns bytes for "256MiB", "64KiB", "1GB" or "4096B". */
export function parseSize(text: string): Parsed<number> {
  return parseQuantity(text, 'size', sizeUnits, '"256MiB", "64KiB" or "1GiB"')
}

/** Returns bytes as `parseSize` does, and 0 for "0" or "off". */
export function parseSizeOrOff(text: string): Parsed<number> {
  return /^(0|off)$/i.test(text.trim()) ? taken(0) : parseSize(text)
}

function isOff(text: string): boolean {
  return text.trim().toLowerCase() === 'off'
}

/** Returns a number per second for "2000/s", and `Infinity` for "off". */
export function parseRate(text: string): Parsed<number> {
  if (isOff(text)) return taken(Number.POSITIVE_INFINITY)
  const match = /^(\d{1,12})\s?\/\s?s$/.exec(text.trim())
  if (match === null) return refused('is not a rate; write a number per second, such as "2000/s", or "off"')
  const value = Number(match[1])
  return value === 0 ? refused('would let nothing through; write "off" for no limit') : taken(value)
}

/** Returns bytes per second for "64MiB/s", and `Infinity` for "off". */
export function parseBandwidth(text: string): Parsed<number> {
  if (isOff(text)) return taken(Number.POSITIVE_INFINITY)
  const match = /^([^/]*)\/\s?s$/.exec(text.trim())
  if (match === null)
    return refused('is not a bandwidth; write a size per second, such as "64MiB/s", or "off"')
  const size = parseSize((match[1] ?? '').trim())
  if (!size.ok) return refused(`${size.reason}, per second`)
  return size.value === 0 ? refused('would let nothing through; write "off" for no limit') : size
}

/** Returns a number per minute for "600/min". */
export function parseBudget(text: string): Parsed<number> {
  const match = /^(\d{1,12})\s?\/\s?min$/.exec(text.trim())
  if (match === null) return refused('is not a budget; write a number per minute, such as "600/min"')
  const value = Number(match[1])
  return value === 0
    ? refused('would let nothing through; write KITSUNE_MISS=dont-have for no fetches')
    : taken(value)
}

/** Returns a whole number without a unit, from `min` to `max`. */
export function parseCount(text: string, min: number, max: number): Parsed<number> {
  const value = /^\d{1,15}$/.test(text.trim()) ? Number(text.trim()) : Number.NaN
  if (Number.isNaN(value)) return refused(`is not a whole number from ${min} to ${max}`)
  return value < min || value > max ? refused(`is not from ${min} to ${max}`) : taken(value)
}

/** Returns one of `choices`. Case matters nowhere, so it does not here. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): Parsed<T> {
  const found = choices.find((choice) => choice === text.trim().toLowerCase())
  return found === undefined ? refused(`is none of ${choices.join(', ')}`) : taken(found)
}

function format(value: number, units: readonly (readonly [string, number])[]): string {
  for (const [unit, factor] of units) {
    if (value >= factor && value % factor === 0) return `${value / factor}${unit}`
  }
  return `${value}${units.at(-1)?.[0] ?? ''}`
}

/** Returns the shortest text that `parseDuration` reads as `ms`. */
export function formatDuration(ms: number): string {
  return ms === 0
    ? '0s'
    : format(ms, [
        ['h', 3_600_000],
        ['m', 60_000],
        ['s', 1000],
        ['ms', 1],
      ])
}

/** Returns the shortest text in binary units that `parseSize` reads as `bytes`. */
export function formatSize(bytes: number): string {
  return bytes === 0
    ? '0B'
    : format(bytes, [
        ['GiB', 1024 ** 3],
        ['MiB', 1024 ** 2],
        ['KiB', 1024],
        ['B', 1],
      ])
}
