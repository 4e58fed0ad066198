import type { RunningHash, StartHash } from '#src/bitswap/block.ts'
import { parsePrefix } from '#src/bitswap/cid.ts'
import { type BlockEntry, decodeMessage, type Message, type MessageFault } from '#src/bitswap/message.ts'
import { maxBlockBytes } from '#src/bitswap/protocol.ts'
import { type Cursor, readVarint } from '#src/util/bytes.ts'
import { Gathering, joined, Pieces } from '#src/util/pieces.ts'

/**
 * A long message on its way. The bytes of a large block stay in the pieces in which they come, and are hashed as they
 * come: the end of a block of 256 KiB is one round trip behind its beginning, and nothing else is to be done meanwhile.
 *
 * Invariant: the message is what `decodeMessage` makes of the same bytes joined, but that large blocks come behind the others.
 * Memory: the message's bytes, and one hash that is not finished.
 */
export class Assembly {
  readonly #startHash: StartHash | undefined
  readonly #large: BlockEntry[] = []
  /** All but the large blocks. */
  readonly #rest = new Gathering()
  #restMissing = 0
  #restFields = 0
  #bytes = 0
  #block: LargeBlock | undefined
  /** The beginning of a field, too little to tell what it is. */
  #head: Uint8Array = empty

  /** Without `startHash` nothing is hashed. */
  constructor(startHash?: StartHash) {
    this.#startHash = startHash
  }

  /** Takes the next bytes, which nobody may change any more. */
  add(piece: Uint8Array): void {
    this.#bytes += piece.length
    let at = 0
    while (at < piece.length) {
      if (this.#block !== undefined) at += this.#addToBlock(this.#block, piece.subarray(at))
      else if (this.#restMissing > 0) at += this.#addToRest(piece.subarray(at))
      else at += this.#begin(piece.subarray(at))
    }
  }

  /** Returns the message, which is whole now, or why it is none. */
  finish(): Message | MessageFault {
    if (this.#block !== undefined) return 'malformed'
    this.#rest.add(this.#head)
    const message = decodeMessage(this.#rest.joined(), this.#bytes)
    if (typeof message !== 'string') message.blocks.push(...this.#large)
    return message
  }

  /** Takes the beginning of a field; returns how many bytes that was. */
  #begin(bytes: Uint8Array): number {
    const known = this.#head.length
    const more = bytes.subarray(0, mostHeadBytes - known)
    const head = known === 0 ? more : joined(new Pieces([this.#head, more], known + more.length))
    const field = fieldAt(head)
    if (field === undefined && head.length < mostHeadBytes) {
      this.#head = new Uint8Array(head)
      return more.length
    }
    this.#head = empty
    if (field?.block !== undefined) {
      this.#block = new LargeBlock(field.block, this.#startHash)
      return field.length - known
    }
    // What is not understood here is left to who decodes it, and so is what comes behind a swarm of fields: each costs more
    // here than there.
    const rest =
      field === undefined || ++this.#restFields > mostRestFields ? Number.MAX_SAFE_INTEGER : field.length
    this.#restMissing = rest - known
    if (known > 0) this.#rest.add(head.subarray(0, known))
    return 0
  }

  #addToRest(bytes: Uint8Array): number {
    const piece = bytes.subarray(0, this.#restMissing)
    this.#restMissing -= piece.length
    this.#rest.add(piece)
    return piece.length
  }

  #addToBlock(block: LargeBlock, bytes: Uint8Array): number {
    const taken = block.add(bytes)
    if (block.missing === 0) {
      this.#large.push(block.entry())
      this.#block = undefined
    }
    return taken
  }
}

class LargeBlock {
  missing: number
  readonly #prefix: Uint8Array
  readonly #bytes = new Gathering()
  readonly #hash: RunningHash | undefined

  constructor({ prefix, bytes }: BlockShape, startHash: StartHash | undefined) {
    this.missing = bytes
    this.#prefix = prefix
    const hashCode = startHash && parsePrefix(prefix)?.hashCode
    this.#hash = hashCode === undefined ? undefined : startHash?.(hashCode)
  }

  /** Takes what is its own of `bytes`; returns how much that was. */
  add(bytes: Uint8Array): number {
    const piece = bytes.subarray(0, this.missing)
    this.missing -= piece.length
    this.#bytes.add(piece)
    this.#hash?.update(piece)
    return piece.length
  }

  entry(): BlockEntry {
    const digest = this.#hash?.digest()
    return { prefix: this.#prefix, bytes: this.#bytes.body(), ...(digest !== undefined && { digest }) }
  }
}

interface BlockShape {
  readonly prefix: Uint8Array
  /** How many there are. */
  readonly bytes: number
}

/** Smaller blocks are joined with everything else. */
const largeBytes = 16 * 1024
/** More than any field has before the bytes of a block. */
const mostHeadBytes = 256
/** More than anybody writes before the last large block of a message. */
const mostRestFields = 1024
const empty: Uint8Array = new Uint8Array(0)

/**
 * Returns how long the field at the beginning of `head` is or, where it is a large block as everyone writes it, what comes
 * before its bytes, and how long that is. Undefined where `head` is too short to tell, or is none.
 */
function fieldAt(head: Uint8Array): { length: number; block?: BlockShape } | undefined {
  const cursor: Cursor = { at: 0 }
  const tag = readVarint(head, cursor, head.length)
  const bytes = readVarint(head, cursor, head.length)
  if (tag < 0 || bytes < 0) return undefined
  // A number, or nothing that is known.
  if (tag % 8 !== 2) return tag % 8 === 0 ? { length: cursor.at } : undefined
  const end = cursor.at + bytes
  if (tag !== 0x1a || bytes < largeBytes) return { length: end }
  const first = readVarint(head, cursor, head.length)
  if (first >= 0 && first !== 0x0a) return { length: end }
  const prefixBytes = readVarint(head, cursor, head.length)
  // A copy, which `slice` is not where it is a Buffer.
  const prefix = new Uint8Array(head.subarray(cursor.at, cursor.at + prefixBytes))
  cursor.at += Math.max(0, prefixBytes)
  const second = readVarint(head, cursor, head.length)
  if (second >= 0 && second !== 0x12) return { length: end }
  const blockBytes = readVarint(head, cursor, head.length)
  if (first < 0 || prefixBytes < 0 || second < 0 || blockBytes < 0) return undefined
  const asUsual = cursor.at + blockBytes === end && blockBytes <= maxBlockBytes
  return asUsual ? { length: cursor.at, block: { prefix, bytes: blockBytes } } : { length: end }
}
