import type { MultihashKey } from '#src/bitswap/cid.ts'
import { type CacheEntry, CacheSegment } from '#src/relay/cache-segment.ts'
import { FrequencySketch } from '#src/util/frequency-sketch.ts'
import { type Body, copyOf, keptBytes } from '#src/util/pieces.ts'

/**
 * The hot block cache: verified blocks by multihash, in memory. Blocks begin in a small window, by age alone. Out of it
 * they come into the main part only if they are asked for more often than what they would push out (W-TinyLFU, Einziger
 * et al. 2017): one scan through a large DAG does not flush what many ask for. The main part has two segments: who is
 * asked for in there is protected from who is not yet.
 *
 * Invariant: `bytes` is the memory that the held blocks keep, and never over `capacityBytes`: room is made
 * before it is taken. Memory: that, and a five-hundredth of it for the frequencies.
 */
export class BlockCache {
  readonly #entries = new Map<MultihashKey, CacheEntry>()
  readonly #capacityBytes: number
  readonly #window: CacheSegment
  readonly #probation: CacheSegment
  readonly #protected: CacheSegment
  readonly #mainBytes: number
  readonly #frequencies: FrequencySketch

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes
    const windowBytes = Math.floor(capacityBytes * windowShare)
    this.#mainBytes = capacityBytes - windowBytes
    this.#window = new CacheSegment(windowBytes)
    this.#probation = new CacheSegment(this.#mainBytes)
    this.#protected = new CacheSegment(Math.floor(this.#mainBytes * protectedShare))
    this.#frequencies = new FrequencySketch(Math.max(leastColumns, capacityBytes / bytesPerColumn))
  }

  get bytes(): number {
    return this.#window.weight + this.#probation.weight + this.#protected.weight
  }

  get blocks(): number {
    return this.#entries.size
  }

  get enabled(): boolean {
    return this.#capacityBytes > 0
  }

  /** Returns the block, the same memory to everyone who asks, and counts that it was asked for. */
  get(key: MultihashKey): Body | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#count(entry.hash)
    this.#touch(entry)
    return entry.bytes
  }

  /** Offers a block that was asked for and was not here; it is kept if it is admitted. */
  offer(key: MultihashKey, block: Body): void {
    const hash = hashOf(key)
    this.#count(hash)
    const held = this.#entries.get(key)
    if (held !== undefined) return this.#touch(held)
    if (weightOf(block.byteLength) > this.#capacityBytes / 8) return
    const weight = weightOf(keptBytes(block))
    const entry = { key, hash, bytes: block, weight, segment: undefined, older: undefined, newer: undefined }
    if (weight > this.#window.capacityBytes) return this.#admit(entry)
    while (this.#window.freeBytes < weight) {
      const leaving = this.#window.oldest as CacheEntry
      this.#drop(leaving)
      this.#admit(leaving)
    }
    this.#keep(entry, this.#window)
  }

  /** Takes an entry that is nowhere into the main part, if what it pushes out is worth less. */
  #admit(entry: CacheEntry): void {
    const length = entry.bytes.byteLength
    // A small view would keep a large buffer, and any view an object for its buffer.
    const copied = length < smallBytes || keptBytes(entry.bytes) > length * 1.25 + 64
    if (copied) entry.weight = weightOf(length)
    const missing = this.#probation.weight + this.#protected.weight + entry.weight - this.#mainBytes
    const victims = missing > 0 ? this.#victims(entry, missing) : []
    if (victims === undefined) return
    for (const victim of victims) this.#drop(victim)
    if (copied) entry.bytes = copyOf(entry.bytes)
    this.#keep(entry, this.#probation)
  }

  /**
   * Returns those that make way so that `missing` bytes become free; undefined when they are asked for as often
   * as `candidate`, or more often, byte by byte. Then the others are next to stand comparison: one that was hot long
   * ago must not keep everything out.
   */
  #victims(candidate: CacheEntry, missing: number): CacheEntry[] | undefined {
    const victims: CacheEntry[] = []
    let freed = 0
    let worth = 0
    let next = this.#probation.oldest ?? this.#protected.oldest
    while (freed < missing && next !== undefined) {
      victims.push(next)
      freed += next.weight
      worth += next.weight * this.#frequencies.estimate(next.hash)
      next = next.newer ?? (next.segment === this.#probation ? this.#protected.oldest : undefined)
    }
    if (this.#frequencies.estimate(candidate.hash) * freed > worth) return victims
    for (const spared of victims) if (spared.segment === this.#probation) this.#probation.renew(spared)
    return undefined
  }

  /** Makes an entry the last of its kind to be pushed out. */
  #touch(entry: CacheEntry): void {
    const { segment } = entry
    const into = segment === this.#window ? this.#window : this.#protected
    if (segment === into) return into.renew(entry)
    segment?.remove(entry)
    into.add(entry)
    while (this.#protected.freeBytes < 0) {
      const demoted = this.#protected.oldest as CacheEntry
      this.#protected.remove(demoted)
      this.#probation.add(demoted)
    }
  }

  #keep(entry: CacheEntry, segment: CacheSegment): void {
    this.#entries.set(entry.key, entry)
    segment.add(entry)
  }

  #drop(entry: CacheEntry): void {
    this.#entries.delete(entry.key)
    entry.segment?.remove(entry)
  }

  #count(hash: number): void {
    this.#frequencies.count(hash)
    const period = countsPerBlock * Math.max(this.blocks, fewBlocks)
    if (this.#frequencies.counted >= period) this.#frequencies.halve()
  }
}

/** Large enough that what came just now is there for who asks a moment later. */
const windowShare = 0.01
/** As Caffeine has it. */
const protectedShare = 0.8
/** Frequencies are halved when each block in here was asked for so often, on average: Caffeine's sample. */
const countsPerBlock = 10
const fewBlocks = 256
/** Columns of the sketch are two bytes. Blocks that are merely passing through need some as well. */
const bytesPerColumn = 1024
const leastColumns = 4096
/** Key, entry and array of a block take so much (measured: 270 to 470 bytes); tiny blocks would hold many times the size. */
const overheadBytes = 512
/** Copying less than this costs less than what Bun keeps for a buffer that was looked at: 450 bytes more. */
const smallBytes = 4096

function weightOf(bytes: number): number {
  return bytes + overheadBytes
}

/** The end of a digest is random already. */
function hashOf(key: MultihashKey): number {
  let hash = 0
  for (let i = key.length - 4; i < key.length; i++) hash = (hash << 8) | key.charCodeAt(i)
  return hash
}
