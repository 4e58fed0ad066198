import type { CidKey } from '#src/bitswap/cid.ts'
import type { Version } from '#src/bitswap/protocol.ts'
import { varintLength, writeKey, writeVarint } from '#src/util/bytes.ts'
import { type Body, eachPiece, joined } from '#src/util/pieces.ts'

/**
 * Writing of Bitswap messages as frames (a length, then the protobuf), as the pieces that a stream sends:
 * large blocks are passed on as they are, everything else is written into one buffer between them.
 *
 * Invariant: block bytes of `inlineBytes` or more are never copied. Memory: the headers, once.
 */

/** A block on its way to a peer. */
export interface OutgoingBlock {
  /** What comes before the digest in the CID that the peer asked by, one character per byte. */
  readonly prefix: string
  readonly bytes: Body
}

/** A want or a cancel on its way to a peer. */
export interface OutgoingWant {
  readonly cid: CidKey
  readonly kind: 'block' | 'have' | 'cancel'
  readonly priority: number
}

/** Copying a block below this size is cheaper than another piece to send. */
const inlineBytes = 4096

/** Returns the frame of a message with blocks and presences, as that version of the protocol has it. */
export function encodeAnswers(
  version: Version,
  blocks: readonly OutgoingBlock[],
  haves: readonly CidKey[],
  dontHaves: readonly CidKey[],
): Uint8Array[] {
  const bare = version === '1.0'
  const presences = version === '1.2'
  let size = presencesLength(presences, haves, dontHaves)
  let copied = size
  for (const block of blocks) {
    const length = bare ? blockLength(block) : fieldLength(payloadLength(block))
    size += length
    copied += block.bytes.byteLength < inlineBytes ? length : length - block.bytes.byteLength
  }
  const buffer = new Uint8Array(varintLength(size) + copied)
  const pieces: Uint8Array[] = []
  let from = 0
  let at = writeVarint(buffer, 0, size)
  for (const block of blocks) {
    if (bare) {
      buffer[at++] = 0x12
    } else {
      buffer[at++] = 0x1a
      at = writeVarint(buffer, at, payloadLength(block))
      buffer[at++] = 0x0a
      at = writeKey(buffer, writeVarint(buffer, at, block.prefix.length), block.prefix)
      buffer[at++] = 0x12
    }
    at = writeVarint(buffer, at, block.bytes.byteLength)
    if (block.bytes.byteLength < inlineBytes) {
      buffer.set(joined(block.bytes), at)
      at += block.bytes.byteLength
    } else {
      pieces.push(buffer.subarray(from, at))
      eachPiece(block.bytes, (piece) => pieces.push(piece))
      from = at
    }
  }
  if (presences) {
    for (const cid of haves) at = writePresence(buffer, at, cid, true)
    for (const cid of dontHaves) at = writePresence(buffer, at, cid, false)
  }
  if (at > from) pieces.push(buffer.subarray(from, at))
  return pieces
}

/** Returns the frame of a message with wants and cancels; every want asks for DONT_HAVE. Never a full one. */
export function encodeWants(wants: readonly OutgoingWant[]): Uint8Array {
  let listSize = 0
  for (const want of wants) listSize += fieldLength(entryLength(want))
  const size = fieldLength(listSize)
  const buffer = new Uint8Array(varintLength(size) + size)
  let at = writeVarint(buffer, 0, size)
  buffer[at++] = 0x0a
  at = writeVarint(buffer, at, listSize)
  for (const want of wants) {
    buffer[at++] = 0x0a
    at = writeVarint(buffer, at, entryLength(want))
    buffer[at++] = 0x0a
    at = writeKey(buffer, writeVarint(buffer, at, want.cid.length), want.cid)
    buffer[at++] = 0x10
    at = writeVarint(buffer, at, want.priority)
    if (want.kind === 'cancel') {
      buffer[at++] = 0x18
      buffer[at++] = 1
    } else {
      if (want.kind === 'have') {
        buffer[at++] = 0x20
        buffer[at++] = 1
      }
      buffer[at++] = 0x28
      buffer[at++] = 1
    }
  }
  return buffer
}

function fieldLength(length: number): number {
  return 1 + varintLength(length) + length
}

function blockLength(block: OutgoingBlock): number {
  return fieldLength(block.bytes.byteLength)
}

function payloadLength(block: OutgoingBlock): number {
  return fieldLength(block.prefix.length) + fieldLength(block.bytes.byteLength)
}

/** HAVE is the default of its field, so it is not written. */
function presenceLength(cid: CidKey, have: boolean): number {
  return fieldLength(cid.length) + (have ? 0 : 2)
}

function presencesLength(written: boolean, haves: readonly CidKey[], dontHaves: readonly CidKey[]): number {
  if (!written) return 0
  let size = 0
  for (const cid of haves) size += fieldLength(presenceLength(cid, true))
  for (const cid of dontHaves) size += fieldLength(presenceLength(cid, false))
  return size
}

function writePresence(buffer: Uint8Array, offset: number, cid: CidKey, have: boolean): number {
  let at = offset
  buffer[at++] = 0x22
  at = writeVarint(buffer, at, presenceLength(cid, have))
  buffer[at++] = 0x0a
  at = writeKey(buffer, writeVarint(buffer, at, cid.length), cid)
  if (!have) {
    buffer[at++] = 0x10
    buffer[at++] = 1
  }
  return at
}

function entryLength(want: OutgoingWant): number {
  const flags = want.kind === 'have' ? 4 : 2
  return fieldLength(want.cid.length) + 1 + varintLength(want.priority) + flags
}
