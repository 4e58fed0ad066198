import { expect, test } from 'bun:test'
import { collectAll, movedBytes, QuietCollector } from '#src/edge-memory.ts'
import { Counters } from '#src/relay/counters.ts'

const mebibyte = 1024 * 1024

function collector() {
  const it = { moved: 0, collections: 0, tick: (_mebibytes: number): number => 0 }
  const quiet = new QuietCollector(
    () => it.moved,
    () => it.collections++,
  )
  it.tick = (mebibytes) => {
    it.moved += mebibytes * mebibyte
    quiet.tick()
    return it.collections
  }
  return it
}

test('memory is collected once when a burst is over, and not within it', () => {
  const it = collector()
  expect([100, 50, 2, 0, 0, 0].map((mebibytes) => it.tick(mebibytes))).toEqual([0, 0, 0, 1, 1, 1])
  expect([70, 0, 0].map((mebibytes) => it.tick(mebibytes))).toEqual([1, 2, 2])
})

test('a trickle is collected now and then', () => {
  const it = collector()
  for (let ticks = 0; ticks < 100; ticks++) it.tick(0.5)
  expect(it.collections).toBe(1)
})

test('many small blocks are a burst as well', () => {
  const counters = new Counters()
  counters.wants = 30_000
  counters.blocksIn = 30_000
  counters.blocksOut = 30_000
  expect(movedBytes(counters, 0)).toBeGreaterThan(64 * mebibyte)
})

test('and so are many connections', () => {
  expect(movedBytes(new Counters(), 1_000)).toBeGreaterThan(60 * mebibyte)
})

test('what was let go is given back', () => {
  let kept: Uint8Array[] = Array.from({ length: 20_000 }, () => new Uint8Array(8 * 1024).fill(1))
  const fullBytes = process.memoryUsage.rss()
  kept = kept.slice(0, 10)
  collectAll()
  expect(kept.length).toBe(10)
  expect(process.memoryUsage.rss()).toBeLessThan(fullBytes - 80 * mebibyte)
})
