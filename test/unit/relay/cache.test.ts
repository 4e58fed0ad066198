import { expect, test } from 'bun:test'
import { type ParsedCid, parseCid } from '#src/bitswap/cid.ts'
import { BlockCache } from '#src/relay/cache.ts'
import { type Body, keptBytes } from '#src/util/pieces.ts'
import { blockKey, hitRate, Lru, seededRandom, zipf } from '#test/support/cache-traces.ts'
import { cidBytes } from '#test/unit/relay/fixture.ts'

/** What a block weighs in the cache beyond its bytes. */
const overhead = 512
const size = 1_000
/** Room for a hundred blocks, most of it in the main part. */
const hundred = 100 * (size + overhead)

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

function held(cache: BlockCache, numbers: readonly number[]): number {
  return numbers.filter((n) => cache.get(blockKey(n)) !== undefined).length
}

test('while there is room everything is admitted; then only what is asked for more often', () => {
  const cache = new BlockCache(hundred)
  hitRate(cache, range(0, 100), size)
  expect(cache.blocks).toBeGreaterThanOrEqual(99)
  const before = cache.blocks
  for (let n = 0; n < 50; n++) cache.get(blockKey(n))
  hitRate(cache, range(100, 110), size)
  // The window has the last one.
  expect(held(cache, range(100, 109))).toBe(0)
  // A second time: more often than those that nobody asked for again, ten of which go.
  hitRate(cache, range(100, 110), size)
  expect(held(cache, range(100, 110))).toBe(10)
  expect(cache.blocks).toBe(before)
  expect(held(cache, range(0, 50))).toBe(50)
  expect(held(cache, range(50, 100))).toBe(before - 60)
})

test('a scan of ten times the capacity does not flush what is asked for', () => {
  const cache = new BlockCache(hundred)
  const hot = range(0, 80)
  for (let round = 0; round < 3; round++) hitRate(cache, hot, size)
  hitRate(cache, range(1_000, 2_000), size)
  expect(held(cache, hot)).toBe(80)
})

test('what many asked for once makes way for what is asked for now', () => {
  const cache = new BlockCache(hundred)
  for (let round = 0; round < 15; round++) hitRate(cache, range(0, 90), size)
  for (let round = 0; round < 60; round++) hitRate(cache, range(1_000, 1_090), size)
  expect(held(cache, range(1_000, 1_090))).toBeGreaterThan(80)
})

test('popularity with scans in between: more hits than by age alone', () => {
  function* asked(): Generator<number> {
    const random = seededRandom(1)
    const popular = zipf(2_000, 0.9, random)
    for (let n = 0, scanned = 1e6; n < 30_000; n++) yield n % 2_000 < 1_000 ? popular() : scanned++
  }
  const ours = hitRate(new BlockCache(hundred), asked(), size)
  const byAge = hitRate(new Lru(100), asked(), size)
  expect(ours).toBeGreaterThan(byAge * 1.2)
})

test('a block that weighs as much as many pushes them out only if it is asked for more often than they are', () => {
  const cache = new BlockCache(hundred)
  hitRate(cache, range(0, 100), size)
  const large = blockKey(1e6)
  cache.offer(large, new Uint8Array(10 * size))
  expect(cache.get(large)).toBeUndefined()
  cache.offer(large, new Uint8Array(10 * size))
  expect(cache.get(large)).toHaveLength(10 * size)
  expect(held(cache, range(0, 100))).toBeLessThan(96)
})

test('everyone gets the same memory, that which came', () => {
  const cache = new BlockCache(1_000_000)
  const block = new Uint8Array(size)
  cache.offer(blockKey(1), block)
  expect(cache.get(blockKey(1))).toBe(block)
  expect(cache.get(blockKey(1))).toBe(block)
})

test('a small view does not keep a large buffer, a view of nearly all of it is not copied', () => {
  const cache = new BlockCache(1_000_000)
  const small = Buffer.from(new ArrayBuffer(500_000), 1_000, 100)
  cache.offer(blockKey(1), small)
  expect(keptBytes(cache.get(blockKey(1)) as Body)).toBe(100)
  expect(cache.bytes).toBe(100 + overhead)
  const nearlyAll = new Uint8Array(100_000).subarray(60)
  cache.offer(blockKey(2), nearlyAll)
  expect(cache.get(blockKey(2))).toBe(nearlyAll)
  expect(cache.bytes).toBe(100 + overhead + 100_000 + overhead)
})

test('what waits in the window counts with all that it keeps', () => {
  const cache = new BlockCache(1_000_000)
  cache.offer(blockKey(1), new Uint8Array(5_000).subarray(0, 100))
  expect(cache.bytes).toBe(5_000 + overhead)
  cache.offer(blockKey(2), new Uint8Array(9_000))
  // The first left the window, and its large buffer with it.
  expect(cache.bytes).toBe(100 + overhead + 9_000 + overhead)
})

test('one block by several CIDs is one', () => {
  const cache = new BlockCache(1_000_000)
  const v0 = cidBytes(7)
  const others = [0x55, 0x70, 0x71].map((codec) => Uint8Array.of(1, codec, ...v0))
  for (const cid of [v0, ...others]) cache.offer((parseCid(cid) as ParsedCid).multihash, new Uint8Array(size))
  expect([cache.blocks, cache.bytes]).toEqual([1, size + overhead])
})

test('a block much too large is not kept', () => {
  const cache = new BlockCache(1_000_000)
  cache.offer(blockKey(2), new Uint8Array(200_000))
  expect([cache.blocks, cache.bytes]).toEqual([0, 0])
})

test('a cache of nothing is off', () => {
  const cache = new BlockCache(0)
  expect(cache.enabled).toBe(false)
  cache.offer(blockKey(1), new Uint8Array(0))
  expect([cache.blocks, cache.bytes]).toEqual([0, 0])
})
