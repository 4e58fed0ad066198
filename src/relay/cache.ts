import type { MultihashKey } from '#src/bitswap/cid.ts'
import { CappedMap } from '#src/util/capped-map.ts'

/**
 * The hot block cache: verified blocks by multihash, in memory.
 *
 * Invariant: `bytes` is what the held blocks weigh, and never over `capacityBytes`. While there is room
 * everything is admitted; when there is none a block must have been offered before, lately, to push others
 * out: one scan through a large DAG does not flush what many ask for. Memory: `capacityBytes`, and
 * `knockCapacity` keys of blocks that were turned away.
 */
export class BlockCache {
  readonly #blocks = new Map<MultihashKey, Uint8Array>()
  readonly #knocked: CappedMap<MultihashKey, true>
  readonly #capacityBytes: number
  bytes = 0

  constructor(capacityBytes: number, knockCapacity = 65_536) {
    this.#capacityBytes = capacityBytes
    this.#knocked = new CappedMap(knockCapacity)
  }

  get blocks(): number {
    return this.#blocks.size
  }

  get enabled(): boolean {
    return this.#capacityBytes > 0
  }

  /** Returns the block and makes it the last to be pushed out. */
  get(key: MultihashKey): Uint8Array | undefined {
    const block = this.#blocks.get(key)
    if (block === undefined) return undefined
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    return block
  }

  /** Offers a block; it is kept if it is admitted. A small view of a large buffer is copied out of it. */
  offer(key: MultihashKey, block: Uint8Array): void {
    if (weightOf(block) > this.#capacityBytes / 8 || this.#blocks.has(key)) return
    if (this.bytes + weightOf(block) > this.#capacityBytes) {
      if (this.#knocked.peek(key) === undefined) {
        this.#knocked.set(key, true)
        return
      }
      this.#knocked.delete(key)
      this.#makeRoom(weightOf(block))
    }
    const kept = block.length * 2 < block.buffer.byteLength ? new Uint8Array(block) : block
    this.#blocks.set(key, kept)
    this.bytes += weightOf(kept)
  }

  #makeRoom(bytes: number): void {
    for (const [key, block] of this.#blocks) {
      if (this.bytes + bytes <= this.#capacityBytes) return
      this.#blocks.delete(key)
      this.bytes -= weightOf(block)
    }
  }
}

/** Key, entry and view of a block take so much; without it a cache of tiny blocks would hold many times its size. */
const overheadBytes = 256

function weightOf(block: Uint8Array): number {
  return block.length + overheadBytes
}
