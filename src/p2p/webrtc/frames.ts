/**
 * What libp2p puts on a data channel: Protobuf messages with their length before them, each with a flag or a piece of
 * data or both (specs/webrtc). They may be cut anywhere: js-libp2p sends the length by itself.
 *
 * Memory: one message that is not whole, at most `maxFrameBytes`.
 */

import { type Cursor, readVarint, varintLength, writeVarint } from '#src/util/bytes.ts'

export const flags = { fin: 0, stopSending: 1, reset: 2, finAck: 3 } as const

/** What a message on a data channel may have, go-libp2p's and rust-libp2p's limit. */
export const maxMessageBytes = 16 * 1024
/** Data of one message: length, field and length of the data come before it. */
export const maxDataBytes = maxMessageBytes - 6
/** Nobody may send more as one. */
const maxFrameBytes = 64 * 1024
const maxLengthBytes = 3
/** What is sent with its length. */
const smallBytes = 2 * 1024

export interface Frame {
  readonly flag: number | undefined
  readonly data: Uint8Array | undefined
}

/**
 * Returns a message with data, in pieces that are to be sent one by one: go-libp2p reads a length into a buffer of
 * 4 KiB, and loses what comes with it and does not fit in there.
 */
export function dataFrame(data: Uint8Array): Uint8Array[] {
  const inner = 1 + varintLength(data.length) + data.length
  const outer = varintLength(inner)
  const frame = Buffer.allocUnsafe(outer + inner)
  let at = writeVarint(frame, 0, inner)
  frame[at++] = 0x12
  at = writeVarint(frame, at, data.length)
  frame.set(data, at)
  return frame.length <= smallBytes ? [frame] : [frame.subarray(0, outer), frame.subarray(outer)]
}

/** Returns a message with a flag. */
export function flagFrame(flag: number): Uint8Array {
  return Uint8Array.of(2, 0x08, flag)
}

export class FrameReader {
  #held = new Uint8Array(0)

  /** What came of a message that is not whole. */
  get heldBytes(): number {
    return this.#held.length
  }

  /** Returns the messages that are whole now, in order; their data may share memory with `bytes`. Throws at nonsense. */
  push(bytes: Uint8Array): Frame[] {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes])
    const frames: Frame[] = []
    const cursor: Cursor = { at: 0 }
    let begin = 0
    for (; begin < all.length; begin = cursor.at) {
      cursor.at = begin
      const length = readVarint(all, cursor, Math.min(all.length, begin + maxLengthBytes))
      if (length > maxFrameBytes || (length < 0 && all.length - begin >= maxLengthBytes))
        throw new Error('a message that is too large')
      const end = cursor.at + length
      if (length < 0 || end > all.length) break
      frames.push(decode(all, cursor, end))
    }
    this.#held = new Uint8Array(all.subarray(begin))
    return frames
  }
}

/** Reads one message and leaves the cursor at its end. */
function decode(bytes: Uint8Array, cursor: Cursor, end: number): Frame {
  let flag: number | undefined
  let data: Uint8Array | undefined
  while (cursor.at < end) {
    const key = readVarint(bytes, cursor, end)
    const value = readVarint(bytes, cursor, end)
    if (key < 0 || value < 0) throw new Error('a message that is cut short')
    if (key === 0x08) flag = value
    if ((key & 7) === 0) continue
    if ((key & 7) !== 2) throw new Error('a message with a field of another kind')
    const from = cursor.at
    cursor.at += value
    if (cursor.at > end) throw new Error('a message that is cut short')
    if (key === 0x12) data = bytes.subarray(from, cursor.at)
  }
  return { flag, data }
}
