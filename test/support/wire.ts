/**
 * A second Bitswap codec, written from the protobuf description alone and sharing no code with src/bitswap:
 * the oracle of the codec's property tests, and what the simulated peers speak. Plain rather than fast.
 *
 *     message Message {
 *       message Wantlist {
 *         message Entry { bytes block = 1; int32 priority = 2; bool cancel = 3; WantType wantType = 4; bool sendDontHave = 5; }
 *         repeated Entry entries = 1; bool full = 2;
 *       }
 *       message Block { bytes prefix = 1; bytes data = 2; }
 *       message BlockPresence { bytes cid = 1; Type type = 2; }   // 0 = HAVE, 1 = DONT_HAVE
 *       Wantlist wantlist = 1; repeated bytes blocks = 2; repeated Block payload = 3;
 *       repeated BlockPresence blockPresences = 4; int32 pendingBytes = 5;
 *     }
 */

export interface WireEntry {
  cid: Uint8Array
  priority: number
  cancel: boolean
  have: boolean
  sendDontHave: boolean
}

export interface WireMessage {
  full: boolean
  entries: WireEntry[]
  blocks: Uint8Array[]
  payload: { prefix: Uint8Array; data: Uint8Array }[]
  presences: { cid: Uint8Array; have: boolean }[]
}

type Piece = number | Uint8Array

/** Returns the protobuf of a message, without a length in front. Absent parts are left out. */
export function encodeWire(message: Partial<WireMessage>): Uint8Array {
  const pieces: Piece[] = []
  const entries = message.entries ?? []
  if (entries.length > 0 || message.full) {
    const list: Piece[] = []
    for (const entry of entries) {
      const fields: Piece[] = []
      lengthDelimited(fields, 1, entry.cid)
      if (entry.priority !== 0) number(fields, 2, entry.priority)
      if (entry.cancel) number(fields, 3, 1)
      if (entry.have) number(fields, 4, 1)
      if (entry.sendDontHave) number(fields, 5, 1)
      lengthDelimited(list, 1, join(fields))
    }
    if (message.full) number(list, 2, 1)
    lengthDelimited(pieces, 1, join(list))
  }
  for (const block of message.blocks ?? []) lengthDelimited(pieces, 2, block)
  for (const { prefix, data } of message.payload ?? []) {
    const fields: Piece[] = []
    lengthDelimited(fields, 1, prefix)
    lengthDelimited(fields, 2, data)
    lengthDelimited(pieces, 3, join(fields))
  }
  for (const { cid, have } of message.presences ?? []) {
    const fields: Piece[] = []
    lengthDelimited(fields, 1, cid)
    if (!have) number(fields, 2, 1)
    lengthDelimited(pieces, 4, join(fields))
  }
  return join(pieces)
}

/** Returns the message in a protobuf; throws when it is none. */
export function decodeWire(bytes: Uint8Array): WireMessage {
  const message: WireMessage = { full: false, entries: [], blocks: [], payload: [], presences: [] }
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) readWantlist(bytesOf(value), message)
    else if (field === 2) message.blocks.push(bytesOf(value))
    else if (field === 3) {
      const block = { prefix: new Uint8Array(0), data: new Uint8Array(0) as Uint8Array }
      for (const part of fieldsOf(bytesOf(value))) {
        if (part.field === 1) block.prefix = bytesOf(part.value).slice()
        if (part.field === 2) block.data = bytesOf(part.value)
      }
      message.payload.push(block)
    } else if (field === 4) {
      const presence = { cid: new Uint8Array(0), have: true }
      for (const part of fieldsOf(bytesOf(value))) {
        if (part.field === 1) presence.cid = bytesOf(part.value).slice()
        if (part.field === 2) presence.have = part.value === 0
      }
      message.presences.push(presence)
    }
  }
  return message
}

/** Returns bytes with their length as a varint in front, as they go on a stream. */
export function frameWire(bytes: Uint8Array): Uint8Array {
  const pieces: Piece[] = []
  varint(pieces, bytes.length)
  pieces.push(bytes)
  return join(pieces)
}

/** Returns the frames in bytes that hold nothing but whole frames; throws when they do not. */
export function unframeWire(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = readVarint(bytes, at)
    if (length.next + length.value > bytes.length) throw new Error('frame cut short')
    frames.push(bytes.subarray(length.next, length.next + length.value))
    at = length.next + length.value
  }
  return frames
}

/** Returns pieces as one array of bytes. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array
  return join(pieces)
}

function readWantlist(bytes: Uint8Array, message: WireMessage): void {
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 2) message.full = value !== 0
    if (field !== 1) continue
    const entry = {
      cid: new Uint8Array(0) as Uint8Array,
      priority: 0,
      cancel: false,
      have: false,
      sendDontHave: false,
    }
    for (const part of fieldsOf(bytesOf(value))) {
      if (part.field === 1) entry.cid = bytesOf(part.value)
      if (part.field === 2) entry.priority = Number(part.value) | 0
      if (part.field === 3) entry.cancel = part.value !== 0
      if (part.field === 4) entry.have = part.value === 1
      if (part.field === 5) entry.sendDontHave = part.value !== 0
    }
    message.entries.push(entry)
  }
}

interface Field {
  readonly field: number
  readonly value: number | Uint8Array
}

function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at)
    at = tag.next
    const field = tag.value >>> 3
    if ((tag.value & 7) === 0) {
      const { value, next } = readVarint(bytes, at)
      fields.push({ field, value })
      at = next
    } else if ((tag.value & 7) === 2) {
      const { value, next } = readVarint(bytes, at)
      if (next + value > bytes.length) throw new Error('field cut short')
      fields.push({ field, value: bytes.subarray(next, next + value) })
      at = next + value
    } else throw new Error('no such wire type in Bitswap')
  }
  return fields
}

function bytesOf(value: number | Uint8Array): Uint8Array {
  if (typeof value === 'number') throw new Error('a number where bytes belong')
  return value
}

/** Numbers of ten bytes are negative; the low 32 bits are all that a Bitswap number has. */
function readVarint(bytes: Uint8Array, from: number): { value: number; next: number } {
  let value = 0
  for (let i = 0; i < 10; i++) {
    const byte = bytes[from + i]
    if (byte === undefined) break
    if (i < 5) value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 128) return { value, next: from + i + 1 }
  }
  throw new Error('varint cut short')
}

function varint(pieces: Piece[], value: number): void {
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest >= 128n; rest >>= 7n) pieces.push(Number(rest & 127n) | 128)
    pieces.push(Number(rest))
    return
  }
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) pieces.push((rest % 128) + 128)
  pieces.push(rest)
}

function number(pieces: Piece[], field: number, value: number): void {
  pieces.push(field * 8)
  varint(pieces, value)
}

function lengthDelimited(pieces: Piece[], field: number, bytes: Uint8Array): void {
  pieces.push(field * 8 + 2)
  varint(pieces, bytes.length)
  pieces.push(bytes)
}

function join(pieces: readonly Piece[]): Uint8Array {
  let length = 0
  for (const piece of pieces) length += typeof piece === 'number' ? 1 : piece.length
  const bytes = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    if (typeof piece === 'number') bytes[at++] = piece
    else {
      bytes.set(piece, at)
      at += piece.length
    }
  }
  return bytes
}
