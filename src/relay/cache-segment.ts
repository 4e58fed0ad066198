import type { MultihashKey } from '#src/bitswap/cid.ts'
import type { Body } from '#src/util/pieces.ts'

/** A block in the cache. It is in one segment at a time, between its neighbours there. */
export interface CacheEntry {
  readonly key: MultihashKey
  /** For the frequency sketch. */
  readonly hash: number
  bytes: Body
  /** Memory that it keeps from being freed. */
  weight: number
  segment: CacheSegment | undefined
  older: CacheEntry | undefined
  newer: CacheEntry | undefined
}

/**
 * A part of the cache: its blocks by when they were last asked for.
 *
 * Invariant: `weight` is the sum of what its entries weigh. It bounds nothing: the cache keeps it below
 * `capacityBytes`.
 */
export class CacheSegment {
  readonly capacityBytes: number
  weight = 0
  oldest: CacheEntry | undefined
  #newest: CacheEntry | undefined

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes
  }

  /** How much is free; below zero while the cache makes room. */
  get freeBytes(): number {
    return this.capacityBytes - this.weight
  }

  /** Takes an entry that is in no segment, as its newest. */
  add(entry: CacheEntry): void {
    const before = this.#newest
    entry.segment = this
    entry.older = before
    entry.newer = undefined
    if (before === undefined) this.oldest = entry
    else before.newer = entry
    this.#newest = entry
    this.weight += entry.weight
  }

  /** Lets go of an entry that it has. */
  remove(entry: CacheEntry): void {
    const { older, newer } = entry
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    entry.segment = undefined
    entry.older = undefined
    entry.newer = undefined
    this.weight -= entry.weight
  }

  /** Makes an entry that it has its newest. */
  renew(entry: CacheEntry): void {
    if (entry.newer === undefined) return
    this.remove(entry)
    this.add(entry)
  }
}
