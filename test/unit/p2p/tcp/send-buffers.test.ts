import { expect, test } from 'bun:test'
import { handBack, isLent, lend } from '#src/p2p/tcp/send-buffers.ts'

test('memory that was handed back is lent again, once', () => {
  const first = lend(70_000)
  expect(first.length).toBe(70_000)
  expect(isLent(first)).toBe(true)
  handBack(first)
  expect(isLent(first)).toBe(false)
  const second = lend(80_000)
  const third = lend(80_000)
  expect(second.buffer).toBe(first.buffer)
  expect(third.buffer).not.toBe(first.buffer)
})

test('handing back twice does not lend it to two', () => {
  const bytes = lend(200_000)
  handBack(bytes)
  handBack(bytes)
  expect(lend(200_000).buffer).not.toBe(lend(200_000).buffer)
})

test('memory that is out is never lent to somebody else', () => {
  const out = Array.from({ length: 40 }, () => lend(262_400))
  expect(new Set(out.map((bytes) => bytes.buffer)).size).toBe(40)
})

test('small and huge pieces are not kept', () => {
  for (const length of [100, 5_000_000]) {
    const bytes = lend(length)
    expect(bytes.length).toBe(length)
    expect(isLent(bytes)).toBe(false)
  }
})
