import { expect, test } from 'bun:test'
import { Buffers } from '#src/relay/buffers.ts'

test('who holds nothing may always ask for a block and be given one', () => {
  const buffers = new Buffers(10, 100)
  buffers.usedBytes = 1_000
  expect(buffers.allows(0, 50)).toBe(true)
  expect(buffers.fits(0, 50)).toBe(true)
  expect(buffers.allows(1, 1)).toBe(false)
  expect(buffers.fits(1, 1)).toBe(false)
})

test('a client alone may have its own limit, or half of what is free', () => {
  expect(new Buffers(10, 100).allows(5, 5)).toBe(true)
  expect(new Buffers(10, 100).allows(5, 6)).toBe(false)
  expect(new Buffers(1_000, 100).allows(25, 25)).toBe(true)
  expect(new Buffers(1_000, 100).allows(25, 26)).toBe(false)
})

test('the share of each shrinks as others come', () => {
  const buffers = new Buffers(1_000, 100)
  buffers.usedBytes = 40
  buffers.reservedBytes = 40
  expect(buffers.allows(5, 5)).toBe(true)
  expect(buffers.allows(5, 6)).toBe(false)
})

test('a block that is here already gets a little more than one that is asked for', () => {
  const buffers = new Buffers(100, 1_000)
  expect(buffers.fits(100, 25)).toBe(true)
  expect(buffers.fits(100, 26)).toBe(false)
  buffers.usedBytes = 1_240
  expect(buffers.fits(1, 10)).toBe(true)
  expect(buffers.fits(1, 11)).toBe(false)
})
