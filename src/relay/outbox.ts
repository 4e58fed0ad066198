import type { CidKey } from '#src/bitswap/cid.ts'
import { targetMessageBytes, type Version } from '#src/bitswap/protocol.ts'
import { encodeAnswers, type OutgoingBlock } from '#src/bitswap/writer.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import { emptied } from '#src/util/emptied.ts'
import type { Body } from '#src/util/pieces.ts'

/**
 * What waits to be sent to one client: blocks and presences.
 *
 * Invariant: `bytes` is what the blocks weigh that wait or are in the message taken last: a message counts
 * until the next one is asked for, which is when the stream had room again. The relay does not add what
 * does not fit. Memory: `bytes` and the presences; emptied by `take` and by `clear`.
 */
export class Outbox {
  #blocks: OutgoingBlock[] = []
  #next = 0
  #haves: CidKey[] = []
  #dontHaves: CidKey[] = []
  #takenBytes = 0
  readonly #buffers: Buffers
  bytes = 0

  constructor(buffers: Buffers) {
    this.#buffers = buffers
  }

  get presences(): number {
    return this.#haves.length + this.#dontHaves.length
  }

  addBlock(prefix: string, bytes: Body): void {
    this.#blocks.push({ prefix, bytes })
    this.bytes += bytes.byteLength + blockOverheadBytes
    this.#buffers.usedBytes += bytes.byteLength + blockOverheadBytes
  }

  addHave(cid: CidKey): void {
    this.#haves.push(cid)
  }

  addDontHave(cid: CidKey): void {
    this.#dontHaves.push(cid)
  }

  /** The message taken last has left: its bytes no longer count. */
  release(): void {
    this.bytes -= this.#takenBytes
    this.#buffers.usedBytes -= this.#takenBytes
    this.#takenBytes = 0
  }

  /** Returns the frame of the next message, in pieces, or undefined when nothing waits. */
  take(version: Version): Uint8Array[] | undefined {
    this.release()
    const from = this.#next
    let size = 0
    while (this.#next < this.#blocks.length && (size === 0 || size < targetMessageBytes)) {
      size += (this.#blocks[this.#next] as OutgoingBlock).bytes.byteLength + blockOverheadBytes
      this.#next++
    }
    const blocks = this.#blocks.slice(from, this.#next)
    if (blocks.length === 0 && (this.presences === 0 || version !== '1.2')) {
      this.#clearPresences()
      return undefined
    }
    if (this.#next === this.#blocks.length) {
      this.#blocks = emptied(this.#blocks)
      this.#next = 0
    } else if (this.#next > 1024) {
      this.#blocks = this.#blocks.slice(this.#next)
      this.#next = 0
    } else {
      for (let i = from; i < this.#next; i++) this.#blocks[i] = taken
    }
    this.#takenBytes = size
    const frame = encodeAnswers(version, blocks, this.#haves, this.#dontHaves)
    this.#clearPresences()
    return frame
  }

  clear(): void {
    this.#blocks = []
    this.#next = 0
    this.#clearPresences()
    this.#buffers.usedBytes -= this.bytes
    this.bytes = 0
    this.#takenBytes = 0
  }

  #clearPresences(): void {
    this.#haves = emptied(this.#haves)
    this.#dontHaves = emptied(this.#dontHaves)
  }
}

/** What a block weighs beyond its bytes: its prefix and its place here. Clients may want empty ones without end. */
const blockOverheadBytes = 128

/** Presences that may wait for one client before nothing more is looked for on its behalf. */
export const maxPresences = 2048
/** As many in all, with those of what was refused or is not there; more are only counted, or told later. */
export const maxNegatives = 16_384

/** Stands where a block was, so that its bytes are let go at once. */
const taken: OutgoingBlock = { prefix: '', bytes: new Uint8Array(0) }
