/** What is asked of a cache: who asks for what how often, the same every time, and a plain LRU to compare with. */

import { createHash } from 'node:crypto'
import type { MultihashKey } from '#src/bitswap/cid.ts'
import type { Body } from '#src/util/pieces.ts'

/** The key of block number `n`: a SHA2-256 multihash. */
export function blockKey(n: number): MultihashKey {
  return `\x12\x20${createHash('sha256').update(String(n)).digest().toString('latin1')}` as MultihashKey
}

/** Returns numbers from 0 up to 1, the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Returns numbers below `count`: number n comes with a probability in proportion to (n + 1)^-skew. */
export function zipf(count: number, skew: number, random: () => number): () => number {
  const upTo = new Float64Array(count)
  let total = 0
  for (let n = 0; n < count; n++) upTo[n] = total += (n + 1) ** -skew
  return () => {
    const drawn = random() * total
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((upTo[middle] as number) < drawn) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What a cache is to those who ask. */
export interface Cache {
  get(key: MultihashKey): Body | undefined
  offer(key: MultihashKey, block: Uint8Array): void
}

/** Keeps the blocks that were asked for last, `capacity` of them. */
export class Lru implements Cache {
  readonly #blocks = new Map<MultihashKey, Uint8Array>()
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(key: MultihashKey): Uint8Array | undefined {
    const block = this.#blocks.get(key)
    if (block !== undefined) this.offer(key, block)
    return block
  }

  offer(key: MultihashKey, block: Uint8Array): void {
    if (!this.#blocks.delete(key) && this.#blocks.size >= this.#capacity) {
      for (const oldest of this.#blocks.keys()) {
        this.#blocks.delete(oldest)
        break
      }
    }
    this.#blocks.set(key, block)
  }
}

/** Returns the part of `asked` that the cache has, being offered what it has not: blocks of `size` bytes. */
export function hitRate(cache: Cache, asked: Iterable<number>, size: number): number {
  let hits = 0
  let all = 0
  for (const n of asked) {
    all++
    const key = blockKey(n)
    if (cache.get(key) !== undefined) hits++
    else cache.offer(key, new Uint8Array(size))
  }
  return hits / all
}
