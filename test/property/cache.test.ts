import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { BlockCache } from '#src/relay/cache.ts'
import { joined } from '#src/util/pieces.ts'
import { blockKey, seededRandom } from '#test/support/cache-traces.ts'

/** What a block weighs in the cache beyond its bytes. */
const overhead = 512

/** A block by its number: its own size, in a buffer that may be larger. */
interface Offered {
  readonly n: number
  readonly size: number
  readonly around: number
}

function blockOf({ n, size, around }: Offered): Uint8Array {
  return new Uint8Array(new ArrayBuffer(size + around), around >> 1, size).fill(n)
}

test('bytes are what the held blocks keep in memory, and never over the capacity', () => {
  const sizes = fc.array(fc.tuple(fc.integer({ max: 3_000, min: 0 }), fc.integer({ max: 6_000, min: 0 })), {
    minLength: 30,
    maxLength: 30,
  })
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 29 }), fc.boolean()), { maxLength: 200 })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60_000 }), sizes, steps, (capacity, known, list) => {
      const cache = new BlockCache(capacity)
      const keys = known.map((_, n) => blockKey(n))
      for (const [n, ask] of list) {
        const [size, around] = known[n] as [number, number]
        if (ask) cache.get(keys[n] as never)
        else cache.offer(keys[n] as never, blockOf({ n, size, around }))
        // Before anybody looks: looking moves blocks.
        expect(cache.bytes).toBeLessThanOrEqual(capacity)
        let kept = 0
        let blocks = 0
        for (const [m, key] of keys.entries()) {
          const body = cache.get(key)
          if (body === undefined) continue
          const held = joined(body)
          expect(held).toHaveLength(known[m]?.[0] as number)
          expect(held.every((byte) => byte === m)).toBe(true)
          kept += held.buffer.byteLength + overhead
          blocks++
        }
        expect([cache.bytes, cache.blocks]).toEqual([kept, blocks])
      }
    }),
    { numRuns: 100 },
  )
})

test('a flood of blocks of all sizes, new and known, stays within the capacity at every step', () => {
  const capacity = 2 ** 20
  const cache = new BlockCache(capacity)
  const random = seededRandom(7)
  let most = 0
  for (let step = 0; step < 20_000; step++) {
    const n = random() < 0.5 ? Math.floor(random() * 500) : step + 1_000
    const key = blockKey(n)
    if (cache.get(key) === undefined) {
      // The size of a block is its own, as that of verified bytes is.
      const own = seededRandom(n)
      const size = Math.floor(own() ** 6 * 150_000)
      const around = own() < 0.2 ? 20_000 : 0
      cache.offer(key, new Uint8Array(new ArrayBuffer(size + around), 0, size))
    }
    most = Math.max(most, cache.bytes)
  }
  expect(most).toBeLessThanOrEqual(capacity)
  expect(most).toBeGreaterThan(capacity * 0.95)
})
