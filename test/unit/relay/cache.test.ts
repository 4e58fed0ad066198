import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { BlockCache } from '#src/relay/cache.ts'
import { multihash } from '#test/unit/relay/fixture.ts'

/** What a block weighs in the cache beyond its bytes. */
const overhead = 256

test('while there is room everything is admitted; then only what was offered before', () => {
  const cache = new BlockCache(10 * (1_000 + overhead))
  for (let n = 0; n < 10; n++) cache.offer(multihash(n), new Uint8Array(1_000))
  expect(cache.blocks).toBe(10)
  expect(cache.get(multihash(0))).toBeDefined()
  cache.offer(multihash(10), new Uint8Array(1_000))
  expect(cache.get(multihash(10))).toBeUndefined()
  cache.offer(multihash(10), new Uint8Array(1_000))
  expect(cache.get(multihash(10))).toBeDefined()
  // The first was touched since, so the second was the oldest.
  expect(cache.get(multihash(1))).toBeUndefined()
  expect(cache.get(multihash(0))).toBeDefined()
})

test('one scan through much does not flush what is there', () => {
  const cache = new BlockCache(10 * (1_000 + overhead))
  for (let n = 0; n < 10; n++) cache.offer(multihash(n), new Uint8Array(1_000))
  for (let n = 100; n < 10_000; n++) cache.offer(multihash(n), new Uint8Array(1_000))
  for (let n = 0; n < 10; n++) expect(cache.get(multihash(n))).toBeDefined()
})

test('a small view does not keep a large buffer; a block much too large is not kept', () => {
  const cache = new BlockCache(1_000_000)
  cache.offer(multihash(1), new Uint8Array(new ArrayBuffer(500_000), 1_000, 100))
  expect(cache.get(multihash(1))?.buffer.byteLength).toBe(100)
  cache.offer(multihash(2), new Uint8Array(200_000))
  expect(cache.get(multihash(2))).toBeUndefined()
})

test('a cache of nothing is off', () => {
  const cache = new BlockCache(0)
  expect(cache.enabled).toBe(false)
  cache.offer(multihash(1), new Uint8Array(0))
  expect([cache.blocks, cache.bytes]).toEqual([0, 0])
})

test('bytes are what the held blocks weigh, and never over the capacity', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 3_000 })), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), steps, (capacity, list) => {
      const cache = new BlockCache(capacity, 8)
      const sizes = new Map<number, number>()
      for (const [n, size] of list) {
        if (!sizes.has(n)) sizes.set(n, size)
        cache.offer(multihash(n), new Uint8Array(sizes.get(n) as number))
        let weight = 0
        let blocks = 0
        for (const [m, length] of sizes) {
          const held = cache.get(multihash(m))
          if (held === undefined) continue
          expect(held.length).toBe(length)
          weight += length + overhead
          blocks++
        }
        expect([cache.bytes, cache.blocks]).toEqual([weight, blocks])
        expect(cache.bytes).toBeLessThanOrEqual(capacity)
      }
    }),
    { numRuns: 100 },
  )
})

test('a small part of a large Buffer does not keep the whole', () => {
  const cache = new BlockCache(1_000_000)
  const key = multihash(1)
  cache.offer(key, Buffer.alloc(100_000).subarray(10, 1_010))
  expect(cache.get(key)?.buffer.byteLength).toBe(1_000)
})
