import { expect, test } from 'bun:test'
import { SparingLog } from '#src/telemetry/sparing-log.ts'

test('the same is said once in a while, with how often it was left out; other things are said at once', () => {
  const lines: unknown[] = []
  let nowMs = 0
  const log = new SparingLog({ warn: (fields, message) => lines.push([fields, message]), now: () => nowMs })
  for (let times = 0; times < 20; times++) log.warn('a lost', { backend: 'a' }, 'Lost')
  log.warn('b lost', { backend: 'b' }, 'Lost')
  nowMs = 9_999
  log.warn('a lost', { backend: 'a' }, 'Lost')
  expect(lines).toEqual([
    [{ backend: 'a' }, 'Lost'],
    [{ backend: 'b' }, 'Lost'],
  ])
  nowMs = 10_000
  log.warn('a lost', { backend: 'a' }, 'Lost')
  expect(lines[2]).toEqual([{ backend: 'a', leftOut: 20 }, 'Lost'])
  nowMs = 30_000
  log.warn('a lost', { backend: 'a' }, 'Lost')
  expect(lines[3]).toEqual([{ backend: 'a' }, 'Lost'])
})
