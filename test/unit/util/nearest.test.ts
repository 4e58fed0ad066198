import { expect, test } from 'bun:test'
import { editDistance, nearest } from '#src/util/nearest.ts'

test.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', '', 3],
  ['', 'abc', 3],
  ['abc', 'abd', 1],
  ['abc', 'acb', 1],
  ['kitten', 'sitting', 3],
])('from %p to %p are %d edits', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance)
  expect(editDistance(b, a)).toBe(distance)
})

test('only what is close is suggested', () => {
  const known = ['run', 'demo', 'validate', 'key']
  expect(nearest('vlaidate', known)).toBe('validate')
  expect(nearest('demos', known)).toBe('demo')
  expect(nearest('frobnicate', known)).toBeUndefined()
  expect(nearest('x'.repeat(1000), known)).toBeUndefined()
  expect(nearest('', [])).toBeUndefined()
})
