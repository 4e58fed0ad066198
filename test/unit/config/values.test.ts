import { describe, expect, test } from 'bun:test'
import type { Parsed } from '#src/config/parsed.ts'
import {
  formatDuration,
  formatSize,
  parseBandwidth,
  parseBudget,
  parseChoice,
  parseCount,
  parseDuration,
  parseRate,
  parseSize,
  parseSizeOrOff,
} from '#src/config/values.ts'

function reason(parsed: Parsed<unknown>): string {
  if (parsed.ok) throw new Error(`was taken as ${String(parsed.value)}`)
  return parsed.reason
}

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['0s', 0],
    [' 30 s ', 30_000],
  ])('%s', (text, ms) => expect(parseDuration(text)).toEqual({ ok: true, value: ms }))

  test.each([
    ['30', 'no unit'],
    ['0', 'no unit'],
    ['30d', 'unknown unit "d"'],
    ['30S', 'unknown unit'],
    ['-1s', 'not a duration'],
    ['', 'not a duration'],
    ['s', 'not a duration'],
    ['1e3s', 'not a duration'],
    ['0.0001s', 'no whole number'],
    ['10000h', 'longer'],
    ['1constructor', 'unknown unit'],
  ])('%s is refused', (text, why) => expect(reason(parseDuration(text))).toContain(why))
})

describe('sizes', () => {
  test.each([
    ['256MiB', 256 * 1024 ** 2],
    ['64KiB', 65_536],
    ['64kB', 64_000],
    ['64KB', 64_000],
    ['1GB', 1e9],
    ['1.5GiB', 1.5 * 1024 ** 3],
    ['4096B', 4096],
  ])('%s', (text, bytes) => expect(parseSize(text)).toEqual({ ok: true, value: bytes }))

  test.each([
    ['64', 'no unit'],
    ['0', 'no unit'],
    ['64mib', 'unknown unit'],
    ['64M', 'unknown unit'],
    ['0.3B', 'no whole number'],
    ['999999999999999GiB', 'no whole number'],
  ])('%s is refused', (text, why) => expect(reason(parseSize(text))).toContain(why))

  test('zero and off are sizes only where nothing is meant', () => {
    expect(parseSizeOrOff('0')).toEqual({ ok: true, value: 0 })
    expect(parseSizeOrOff('off')).toEqual({ ok: true, value: 0 })
    expect(parseSizeOrOff('1KiB')).toEqual({ ok: true, value: 1024 })
    expect(reason(parseSizeOrOff('1'))).toContain('no unit')
  })
})

describe('rates', () => {
  test('are numbers per second, or off', () => {
    expect(parseRate('2000/s')).toEqual({ ok: true, value: 2000 })
    expect(parseRate('off')).toEqual({ ok: true, value: Number.POSITIVE_INFINITY })
    expect(parseBandwidth('64MiB/s')).toEqual({ ok: true, value: 64 * 1024 ** 2 })
    expect(parseBandwidth('OFF')).toEqual({ ok: true, value: Number.POSITIVE_INFINITY })
    expect(parseBudget('600/min')).toEqual({ ok: true, value: 600 })
  })

  test.each([
    [parseRate('2000'), 'not a rate'],
    [parseRate('0/s'), 'off'],
    [parseRate('64MiB/s'), 'not a rate'],
    [parseBandwidth('64MiB'), 'not a bandwidth'],
    [parseBandwidth('64/s'), 'no unit'],
    [parseBandwidth('0B/s'), 'off'],
    [parseBudget('600'), 'not a budget'],
    [parseBudget('600/s'), 'not a budget'],
    [parseBudget('0/min'), 'dont-have'],
  ])('%j is refused', (parsed, why) => expect(reason(parsed)).toContain(why))
})

test('counts keep to their limits', () => {
  expect(parseCount('4', 1, 16)).toEqual({ ok: true, value: 4 })
  for (const text of ['0', '17', '4.0', '4s', '-1', '', '0x4']) expect(parseCount(text, 1, 16).ok).toBe(false)
})

test('choices ignore case and name each other when refused', () => {
  expect(parseChoice('JSON', ['json', 'pretty'])).toEqual({ ok: true, value: 'json' })
  expect(reason(parseChoice('yaml', ['json', 'pretty']))).toContain('json, pretty')
})

test('formats use the largest unit that is exact', () => {
  expect([0, 500, 1500, 30_000, 90_000, 3_600_000].map(formatDuration)).toEqual([
    '0s',
    '500ms',
    '1500ms',
    '30s',
    '90s',
    '1h',
  ])
  expect([0, 1, 1024, 1536, 256 * 1024 ** 2].map(formatSize)).toEqual(['0B', '1B', '1KiB', '1536B', '256MiB'])
})
