import { expect, test } from 'bun:test'
import { failuresIn } from '../../../scripts/steps/failures.ts'

const output = `bun test v1.4.5

test/a.test.ts:
said by a good one
(pass) good [0.03ms]
said before it
error: expect(received).toBe(expected)
      at <anonymous> (test/a.test.ts:3:63)
(fail) d > bad [0.23ms]
(pass) d > good again [0.19ms]
(fail) d > slow [50.16ms]
  ^ this test timed out after 50ms.

test/b.test.ts:

# Unhandled error between tests
-------------------------------
error: between
      at <anonymous> (test/b.test.ts:2:42)
-------------------------------

(pass) x

 2 pass
 2 fail
`

test('each failure is told with its file, its reason and what was printed before it, and nothing else', () => {
  expect(failuresIn(output)).toEqual([
    `test/a.test.ts:
said before it
error: expect(received).toBe(expected)
      at <anonymous> (test/a.test.ts:3:63)
(fail) d > bad [0.23ms]`,
    `test/a.test.ts:
(fail) d > slow [50.16ms]
  ^ this test timed out after 50ms.`,
    `test/b.test.ts:
# Unhandled error between tests
-------------------------------
error: between
      at <anonymous> (test/b.test.ts:2:42)
-------------------------------`,
  ])
})

test('of a failure that printed much, and of many failures, the reasons stay', () => {
  const loud = `test/a.test.ts:\n${'noise\n'.repeat(1000)}error: why\n(fail) loud\n`
  const [told] = failuresIn(loud)
  expect(told?.split('\n').length).toBe(31)
  expect(told).toEndWith('error: why\n(fail) loud')
  expect(failuresIn(loud.repeat(50)).length).toBe(20)
  expect(failuresIn('')).toEqual([])
})
