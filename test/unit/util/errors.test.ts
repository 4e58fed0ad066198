import { expect, test } from 'bun:test'
import { describeError, KitsuneError } from '#src/util/errors.ts'

test('an error tells its causes in one line, each once', () => {
  const cause = new Error('connection refused')
  const error = new KitsuneError('E_DIAL', 'cannot dial', { side: 'backend', facts: { port: 1 }, cause })
  expect(describeError(error)).toBe('cannot dial: connection refused')
  expect([error.code, error.side, error.facts, error.cause]).toEqual([
    'E_DIAL',
    'backend',
    { port: 1 },
    cause,
  ])
  expect(describeError(new Error('same', { cause: new Error('same') }))).toBe('same')
  expect(describeError('text')).toBe('text')
})

test('a cause that leads back to itself ends', () => {
  const error = new Error('a')
  error.cause = error
  expect(describeError(error)).toBe('a')
})
