import { expect, test } from 'bun:test'
import { FrameReader } from '#src/p2p/frames.ts'
import { frameWire, joinBytes } from '#test/support/wire.ts'

const never = (): void => {
  throw new Error('no message was sent')
}

test('a message of the largest size passes, one byte more ends it at its length', () => {
  let seen = 0
  expect(
    new FrameReader(1_000).push(frameWire(new Uint8Array(1_000)), (frame) => (seen = frame.length)),
  ).toBe(true)
  expect(seen).toBe(1_000)
  expect(new FrameReader(1_000).push(frameWire(new Uint8Array(1_001)).subarray(0, 2), never)).toBe(false)
})

test('a length that does not end is refused', () => {
  expect(new FrameReader(1_000).push(new Uint8Array(10).fill(0x80), never)).toBe(false)
  expect(
    new FrameReader(2 ** 50).push(Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), never),
  ).toBe(false)
})

test('messages of no bytes are messages', () => {
  let count = 0
  expect(new FrameReader(10).push(new Uint8Array(7), () => count++)).toBe(true)
  expect(count).toBe(7)
})

test('a message in one piece is not copied', () => {
  const bytes = joinBytes([frameWire(new Uint8Array(50)), frameWire(new Uint8Array(60))])
  new FrameReader(100).push(bytes, (frame) => expect(frame.buffer).toBe(bytes.buffer))
})

test('a message byte by byte comes whole, however long', () => {
  const reader = new FrameReader(100_000)
  const message = Uint8Array.from({ length: 10_000 }, (_, n) => n & 0xff)
  let seen: Uint8Array | undefined
  for (const byte of frameWire(message)) {
    reader.push(Uint8Array.of(byte), (frame) => {
      seen = frame
    })
  }
  expect(Buffer.compare(seen as Uint8Array, message)).toBe(0)
})
