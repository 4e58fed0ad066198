import { maxBlockBytes } from '#src/bitswap/protocol.ts'
import { type Cursor, readVarint } from '#src/util/bytes.ts'
import type { Body } from '#src/util/pieces.ts'

/**
 * Reading of Bitswap messages (the protobuf of the Bitswap 1.2.0 specification), straight from the frame:
 * block bytes and CIDs are views into it, never copies, so whoever keeps one keeps the frame.
 *
 * Invariant: `decodeMessage` never throws and reads each byte once; a message is taken whole or refused
 * whole. Memory: at most one small object per `leastPartBytes` of frame, which is capped by its reader.
 */

export interface WantEntry {
  /** The CID's bytes, unchecked. */
  readonly cid: Uint8Array
  readonly priority: number
  readonly cancel: boolean
  /** want-have if true, want-block if not. */
  readonly have: boolean
  readonly sendDontHave: boolean
}

export interface BlockEntry {
  /** What comes before the digest in the CID; undefined in Bitswap 1.0. */
  readonly prefix: Uint8Array | undefined
  readonly bytes: Body
  /** By the hash function that the prefix names, one character per byte, if somebody has hashed the bytes. */
  readonly digest?: string
}

export interface PresenceEntry {
  readonly cid: Uint8Array
  /** HAVE if true, DONT_HAVE if not. */
  readonly have: boolean
}

export interface Message {
  /** The wants are all that the peer wants: what it wanted before and is not here is cancelled. */
  readonly full: boolean
  readonly wants: WantEntry[]
  readonly blocks: BlockEntry[]
  readonly presences: PresenceEntry[]
}

export type MessageFault = 'malformed' | 'block-too-big'

const empty: Uint8Array = new Uint8Array(0)

/** No want, block or presence that says something is shorter; a frame of shorter ones is only there to cost. */
const leastPartBytes = 16
/** Parts of any length that a frame may have all the same. */
const freeParts = 1024

/**
 * Returns the message in `frame` (without its length prefix), or why it is none. Where parts of it are kept elsewhere,
 * `wholeBytes` is the size of all of it.
 */
export function decodeMessage(frame: Uint8Array, wholeBytes = frame.length): Message | MessageFault {
  const wants: WantEntry[] = []
  const blocks: BlockEntry[] = []
  const presences: PresenceEntry[] = []
  let full = false
  const mostParts = freeParts + wholeBytes / leastPartBytes
  const cursor: Cursor = { at: 0 }
  while (cursor.at < frame.length) {
    if (blocks.length + presences.length > mostParts) return 'malformed'
    const tag = readVarint(frame, cursor, frame.length)
    const field = Math.floor(tag / 8)
    if (tag >= 8 && tag % 8 === 2 && field <= 4) {
      const end = fieldEnd(frame, cursor, frame.length)
      if (end < 0) return 'malformed'
      if (field === 1) {
        const read = readWantlist(frame, cursor, end, wants, mostParts)
        if (read === undefined) return 'malformed'
        full = read
      } else if (field === 2) {
        blocks.push({ prefix: undefined, bytes: frame.subarray(cursor.at, end) })
        if (end - cursor.at > maxBlockBytes) return 'block-too-big'
      } else if (field === 3) {
        const block = readBlock(frame, cursor, end)
        if (block === undefined) return 'malformed'
        if (block.bytes.byteLength > maxBlockBytes) return 'block-too-big'
        blocks.push(block)
      } else {
        const presence = readPresence(frame, cursor, end)
        if (presence === undefined) return 'malformed'
        presences.push(presence)
      }
      cursor.at = end
    } else if (!skipField(frame, cursor, frame.length, tag)) {
      return 'malformed'
    }
  }
  return { full, wants, blocks, presences }
}

/** Reads a wantlist into `wants`; returns whether it is a full one, or undefined when it is malformed. */
function readWantlist(
  frame: Uint8Array,
  cursor: Cursor,
  end: number,
  wants: WantEntry[],
  mostWants: number,
): boolean | undefined {
  let full = false
  while (cursor.at < end) {
    const tag = readVarint(frame, cursor, end)
    if (tag === 0x0a) {
      const entryEnd = fieldEnd(frame, cursor, end)
      if (entryEnd < 0) return undefined
      const entry = readEntry(frame, cursor, entryEnd)
      if (entry === undefined || wants.length > mostWants) return undefined
      wants.push(entry)
    } else if (tag === 0x10) {
      const value = readVarint(frame, cursor, end)
      if (value < 0) return undefined
      full = value !== 0
    } else if (!skipField(frame, cursor, end, tag)) {
      return undefined
    }
  }
  return full
}

function readEntry(frame: Uint8Array, cursor: Cursor, end: number): WantEntry | undefined {
  let cid = empty
  let priority = 1
  let cancel = false
  let have = false
  let sendDontHave = false
  while (cursor.at < end) {
    const tag = readVarint(frame, cursor, end)
    if (tag === 0x0a) {
      const cidEnd = fieldEnd(frame, cursor, end)
      if (cidEnd < 0) return undefined
      cid = frame.subarray(cursor.at, cidEnd)
      cursor.at = cidEnd
    } else if (tag === 0x10) {
      const value = readInt32(frame, cursor, end)
      if (value === undefined) return undefined
      priority = value
    } else if (tag === 0x18 || tag === 0x20 || tag === 0x28) {
      const value = readVarint(frame, cursor, end)
      if (value < 0) return undefined
      if (tag === 0x18) cancel = value !== 0
      else if (tag === 0x20) have = value === 1
      else sendDontHave = value !== 0
    } else if (!skipField(frame, cursor, end, tag)) {
      return undefined
    }
  }
  return { cid, priority, cancel, have, sendDontHave }
}

function readBlock(frame: Uint8Array, cursor: Cursor, end: number): BlockEntry | undefined {
  let prefix = empty
  let bytes = empty
  while (cursor.at < end) {
    const tag = readVarint(frame, cursor, end)
    if (tag === 0x0a || tag === 0x12) {
      const fieldEndAt = fieldEnd(frame, cursor, end)
      if (fieldEndAt < 0) return undefined
      const value = frame.subarray(cursor.at, fieldEndAt)
      if (tag === 0x0a) prefix = value
      else bytes = value
      cursor.at = fieldEndAt
    } else if (!skipField(frame, cursor, end, tag)) {
      return undefined
    }
  }
  return { prefix, bytes }
}

function readPresence(frame: Uint8Array, cursor: Cursor, end: number): PresenceEntry | undefined {
  let cid = empty
  let have = true
  while (cursor.at < end) {
    const tag = readVarint(frame, cursor, end)
    if (tag === 0x0a) {
      const cidEnd = fieldEnd(frame, cursor, end)
      if (cidEnd < 0) return undefined
      cid = frame.subarray(cursor.at, cidEnd)
      cursor.at = cidEnd
    } else if (tag === 0x10) {
      const value = readVarint(frame, cursor, end)
      if (value < 0) return undefined
      have = value === 0
    } else if (!skipField(frame, cursor, end, tag)) {
      return undefined
    }
  }
  return { cid, have }
}

/** Reads a length and returns where the field it is of ends, or -1 when that is not before `end`. */
function fieldEnd(frame: Uint8Array, cursor: Cursor, end: number): number {
  const length = readVarint(frame, cursor, end)
  return length < 0 || length > end - cursor.at ? -1 : cursor.at + length
}

/** Negative numbers are ten bytes on the wire: their sign is extended to 64 bits. */
function readInt32(frame: Uint8Array, cursor: Cursor, end: number): number | undefined {
  let value = 0
  for (let shift = 0; shift < 70; shift += 7) {
    if (cursor.at >= end) return undefined
    const byte = frame[cursor.at++] as number
    if (shift < 32) value |= (byte & 0x7f) << shift
    if (byte < 0x80) return value
  }
  return undefined
}

/** Skips a field that this version does not know; false when there is no such field. */
function skipField(frame: Uint8Array, cursor: Cursor, end: number, tag: number): boolean {
  if (tag < 8) return false
  switch (tag % 8) {
    case 0:
      return readInt32(frame, cursor, end) !== undefined
    case 1:
      cursor.at += 8
      return cursor.at <= end
    case 2:
      cursor.at = fieldEnd(frame, cursor, end)
      return cursor.at >= 0
    case 5:
      cursor.at += 4
      return cursor.at <= end
    default:
      return false
  }
}
