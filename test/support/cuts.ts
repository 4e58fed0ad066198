/** Streams of bytes that come in pieces, for the property tests of who reads them. */
import { expect } from 'bun:test'
import type { FrameReader, LongFrame } from '#src/p2p/frames.ts'
import { frameWire } from '#test/support/wire.ts'

/** Cuts bytes into pieces of these lengths, over and over; each in a buffer of its own if `apart`. */
export function split(bytes: Uint8Array, lengths: readonly number[], apart = false): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const piece = bytes.subarray(at, at + (lengths[n % lengths.length] as number))
    pieces.push(apart ? piece.slice() : piece)
    at += piece.length
  }
  return pieces
}

/** Pushes a part of a message's frame, `until` deciding how much, and expects that all of it is held and nothing is whole. */
export function expectHeld<Long extends LongFrame>(
  reader: FrameReader<Long>,
  message: Uint8Array,
  lengths: readonly number[],
  until: number,
): void {
  const wire = frameWire(message)
  const head = wire.length - message.length
  const began = wire.subarray(0, until % wire.length)
  for (const piece of split(began, lengths)) {
    reader.push(piece, () => {
      throw new Error('it is not whole')
    })
  }
  expect(reader.held).toBe(Math.max(0, began.length - head))
  expect(reader.partial).toBe(began.length > 0)
}
