import { expect, test } from 'bun:test'
import type { Log, LogFields } from '#src/telemetry/log.ts'
import { createRareWarn } from '#src/telemetry/rare-warn.ts'

function setUp(maxKeys?: number) {
  const lines: { fields: LogFields; message: string }[] = []
  const log = {
    warn: (fields: LogFields, message: string) => lines.push({ fields, message }),
  } as unknown as Log
  const clock = { nowMs: 0 }
  const warn = createRareWarn(log, {
    intervalMs: 10_000,
    now: () => clock.nowMs,
    ...(maxKeys === undefined ? {} : { maxKeys }),
  })
  return { lines, clock, warn }
}

test('one line per key and interval, the next one with the count of those left out', () => {
  const { lines, clock, warn } = setUp()
  for (let i = 0; i < 5; i++) warn('a', { i }, 'trouble')
  warn('b', {}, 'other trouble')
  expect(lines).toEqual([
    { fields: { i: 0 }, message: 'trouble' },
    { fields: {}, message: 'other trouble' },
  ])
  clock.nowMs = 9_999
  warn('a', { i: 5 }, 'trouble')
  expect(lines.length).toBe(2)
  clock.nowMs = 10_000
  warn('a', { i: 6 }, 'trouble')
  expect(lines.at(-1)).toEqual({ fields: { i: 6, suppressed: 5 }, message: 'trouble' })
  clock.nowMs = 20_000
  warn('a', { i: 7 }, 'trouble')
  expect(lines.at(-1)).toEqual({ fields: { i: 7 }, message: 'trouble' })
})

test('a flood of keys is no flood of lines', () => {
  const { lines, clock, warn } = setUp(10)
  for (let i = 0; i < 10_000; i++) warn(`key ${i}`, {}, 'trouble')
  // Ten keys of their own and the one that the others share.
  expect(lines.length).toBe(11)
  clock.nowMs = 10_000
  // The first makes room by forgetting the old; a known key is not hurt by it.
  warn('key 5', {}, 'trouble')
  expect(lines.length).toBe(12)
  warn('key 50000', {}, 'trouble')
  expect(lines.length).toBe(13)
  warn('key 50000', {}, 'trouble')
  expect(lines.length).toBe(13)
})
