import { expect, test } from 'bun:test'
import { RefsStream } from '#src/relay/preload/refs-stream.ts'
import { lines, texts } from '#test/unit/relay/preload/preload-fixture.ts'

const kibibyte = 1_024

/** Lines of a kibibyte each, and their numbers read back. */
function kibibytes(count: number, from = 0): Uint8Array[] {
  return lines(...Array.from({ length: count }, (_, n) => `${from + n} `.padEnd(kibibyte - 1, 'x')))
}

function numbers(read: readonly Uint8Array[]): number[] {
  return texts(read).map((text) => Number.parseInt(text, 10))
}

test('every reader gets every line once and in order, at its own pace', () => {
  const stream = new RefsStream()
  const [quick, slow] = [stream.join(), stream.join()]
  stream.append(lines('a', 'b'))
  expect(texts(stream.take(quick))).toEqual(['a', 'b'])
  stream.append(lines('c'))
  expect(stream.hasMore(quick)).toBe(true)
  expect(texts(stream.take(quick))).toEqual(['c'])
  expect(texts(stream.take(slow))).toEqual(['a', 'b', 'c'])
  expect([stream.hasMore(quick), stream.hasMore(slow), stream.take(slow)]).toEqual([false, false, []])
})

test('it says to pause when it is full, until the slowest has read', () => {
  const stream = new RefsStream()
  const [quick, slow] = [stream.join(), stream.join()]
  expect(stream.append(kibibytes(255))).toBe(true)
  expect(stream.append(kibibytes(1, 255))).toBe(false)
  stream.take(quick)
  expect(stream.hasRoom).toBe(false)
  expect(numbers(stream.take(slow)).at(-1)).toBe(255)
  expect(stream.hasRoom).toBe(true)
})

test('a reader that leaves holds up nobody', () => {
  const stream = new RefsStream()
  const [quick, slow] = [stream.join(), stream.join()]
  stream.append(kibibytes(300))
  stream.take(quick)
  expect(stream.hasRoom).toBe(false)
  stream.leave(slow)
  expect([stream.hasRoom, stream.readers]).toEqual([true, 1])
  stream.append(kibibytes(2, 300))
  expect(numbers(stream.take(quick))).toEqual([300, 301])
})

test('a late reader gets the whole while it is kept, which is up to the size', () => {
  const stream = new RefsStream()
  const early = stream.join()
  stream.append(kibibytes(200))
  stream.take(early)
  expect(stream.whole).toBe(true)
  expect(stream.take(stream.join()).length).toBe(200)
  stream.append(kibibytes(100, 200))
  expect(stream.whole).toBe(false)
})

test('what all have read goes once there is more than is kept', () => {
  const stream = new RefsStream()
  const reader = stream.join()
  for (let n = 0; n < 10_000; n++) {
    stream.append(kibibytes(1, n))
    expect(numbers(stream.take(reader))).toEqual([n])
  }
  expect([stream.whole, stream.length, stream.hasRoom]).toEqual([false, 10_000, true])
})

test('with nobody left to read, nothing is kept', () => {
  const stream = new RefsStream()
  stream.leave(stream.join())
  for (let n = 0; n < 1_000; n++) stream.append(kibibytes(10))
  expect(stream.hasRoom).toBe(true)
})

test('what a second backend repeats is not passed on again', () => {
  const stream = new RefsStream()
  const reader = stream.join()
  stream.append(lines('a', 'b', 'c'))
  expect(stream.take(reader).length).toBe(3)
  stream.restart()
  expect(stream.isBehind).toBe(true)
  stream.append(lines('a', 'b'))
  expect(stream.hasMore(reader)).toBe(false)
  stream.append(lines('c', 'd'))
  expect(texts(stream.take(reader))).toEqual(['d'])
  expect([stream.isBehind, stream.differs]).toEqual([false, false])
})

test('a third backend repeats what the first and the second said', () => {
  const stream = new RefsStream()
  const reader = stream.join()
  stream.append(lines('a', 'b'))
  stream.restart()
  stream.append(lines('a'))
  stream.restart()
  stream.append(lines('a', 'b', 'c'))
  expect(texts(stream.take(reader))).toEqual(['a', 'b', 'c'])
})

test('a second backend that says something else is noticed, as far as lines are kept', () => {
  const stream = new RefsStream()
  const reader = stream.join()
  stream.append(lines('a', 'b'))
  stream.restart()
  stream.append(lines('a', 'x'))
  expect(stream.differs).toBe(true)
  const long = new RefsStream()
  const other = long.join()
  long.append(kibibytes(300))
  long.take(other)
  long.restart()
  long.append(kibibytes(300, 1_000))
  expect(long.differs).toBe(false)
  expect(texts(stream.take(reader))).toEqual(['a', 'b'])
})
