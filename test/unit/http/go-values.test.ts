import { expect, test } from 'bun:test'
import { parseGoBool, parseGoDuration, parseGoInt } from '#src/http/go-values.ts'

test.each([
  ['', true],
  ['1', true],
  ['t', true],
  ['TRUE', true],
  ['0', false],
  ['F', false],
  ['false', false],
])('boolean "%s" is %p', (text, value) => expect(parseGoBool(text)).toEqual({ ok: true, value }))

test.each(['yes', 'no', '2', 'truee', ' true'])('"%s" is no boolean', (text) =>
  expect(parseGoBool(text).ok).toBe(false),
)

test.each([
  ['0', 0],
  ['-1', -1],
  ['+7', 7],
  ['2147483647', 2_147_483_647],
])('integer "%s"', (text, value) => expect(parseGoInt(text)).toEqual({ ok: true, value }))

test.each(['', '1.5', '1e3', '0x10', '2147483648', '-2147483648', '99999999999', 'x', ' 1'])(
  '"%s" is no integer here',
  (text) => expect(parseGoInt(text).ok).toBe(false),
)

test.each([
  ['1h2m3.5s', 3_723_500],
  ['300ms', 300],
  ['5us', 1],
  ['1500\u00b5s', 2],
  ['1500\u03bcs', 2],
  ['.5s', 500],
  ['1.s', 1_000],
  ['+2m', 120_000],
  ['90m', 5_400_000],
  ['30000ms', 30_000],
  ['99999999h', 2 ** 31 - 1],
])('duration "%s" is %p ms', (text, value) => expect(parseGoDuration(text)).toEqual({ ok: true, value }))

test.each([
  ['', 'not a duration'],
  ['1', 'not a duration'],
  ['s', 'not a duration'],
  ['.s', 'not a duration'],
  ['1d', 'not a duration'],
  ['1s1', 'not a duration'],
  ['1 s', 'not a duration'],
  ['1.2.3s', 'not a duration'],
  ['9'.repeat(10_000), 'not a duration'],
  ['0', 'not above 0'],
  ['0s', 'not above 0'],
  ['-1s', 'not above 0'],
])('duration "%s" is refused', (text, why) => {
  const parsed = parseGoDuration(text)
  expect(parsed.ok ? '' : parsed.reason).toContain(why)
})
