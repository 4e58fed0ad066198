import { expect, test } from 'bun:test'
import type { CidKey, ParsedCid } from '#src/bitswap/cid.ts'
import { BackWants, formsOf } from '#src/relay/preload/back-wants.ts'
import { cidKey, multihash, readyBackend } from '#test/unit/relay/fixture.ts'
import { parsed, pullOf } from '#test/unit/relay/preload/preload-fixture.ts'

const backend = readyBackend('a', 4)

/** Wants one on a lane and returns it; it must be no echo. */
function want(wants: BackWants, n: number, slot = 0, nowMs = 0) {
  const it = wants.want(backend, slot, parsed(n), nowMs)
  if (it === undefined) throw new Error('an echo')
  return it
}

test('a want on several lanes is one entry, which goes with the last cancel', () => {
  const wants = new BackWants()
  const first = want(wants, 1, 0)
  expect(want(wants, 1, 3)).toBe(first)
  expect(wants.size).toBe(1)
  expect(wants.cancel(0, parsed(1))).toBeUndefined()
  expect(wants.find(multihash(1))).toBe(first)
  expect(wants.cancel(0, parsed(1))).toBeUndefined()
  expect(wants.cancel(3, parsed(1))).toBe(first)
  expect(wants.size).toBe(0)
  expect(wants.cancel(3, parsed(1))).toBeUndefined()
})

test('idle wants are remembered up to the capacity, the oldest forgotten', () => {
  const wants = new BackWants(100)
  for (let n = 0; n < 10_000; n++) want(wants, n)
  expect(wants.size).toBe(100)
  expect(wants.find(multihash(9_899))).toBeUndefined()
  expect(wants.find(multihash(9_900))).toBeDefined()
  for (let n = 9_900; n < 10_000; n++) wants.cancel(0, parsed(n))
  expect(wants.size).toBe(0)
})

test('what is pulled is not pushed out by what is idle', () => {
  const wants = new BackWants(10)
  const pulled = want(wants, 1)
  wants.pulling(pulled, pullOf(1, backend))
  for (let n = 2; n < 100; n++) want(wants, n)
  expect(wants.find(multihash(1))).toBe(pulled)
  expect(wants.size).toBe(11)
})

test('what is not pulled any more is idle again if it is still wanted', () => {
  const wants = new BackWants()
  const it = want(wants, 1)
  wants.pulling(it, pullOf(1, backend))
  wants.idle(it)
  expect([it.pull, wants.find(multihash(1)), wants.size]).toEqual([undefined, it, 1])
  wants.pulling(it, pullOf(1, backend))
  expect(wants.cancel(0, parsed(1))).toBe(it)
  wants.idle(it)
  expect(wants.size).toBe(0)
})

test('a full list takes back what is not in it, on its lane only', () => {
  const wants = new BackWants()
  const [one, both, kept] = [want(wants, 1, 0), want(wants, 2, 0), want(wants, 3, 0)]
  want(wants, 2, 1)
  wants.pulling(one, pullOf(1, backend))
  expect(wants.retain(0, new Set([cidKey(3)]))).toEqual([one])
  expect(wants.find(multihash(2))).toBe(both)
  expect(wants.find(multihash(3))).toBe(kept)
  expect(new Set(wants.retain(1, new Set()))).toEqual(new Set([both]))
  expect(wants.size).toBe(1)
})

test('what was given leaves no want behind, and an echo of it on another lane is no new one', () => {
  const wants = new BackWants()
  const it = want(wants, 1, 0)
  wants.pulling(it, pullOf(1, backend))
  wants.served(it, 1_000)
  expect(wants.size).toBe(0)
  expect(wants.want(backend, 1, parsed(1), 1_100)).toBeUndefined()
  expect(wants.want(backend, 2, parsed(1), 1_200)).toBeUndefined()
  for (const slot of [1, 2]) wants.cancel(slot, parsed(1))
  expect(wants.size).toBe(0)
  expect(wants.due(60_000)).toEqual([])
})

test('an echo that stays is meant after a while', () => {
  const wants = new BackWants()
  wants.served(want(wants, 1), 1_000)
  wants.want(backend, 1, parsed(1), 1_100)
  expect(wants.due(2_999)).toEqual([])
  const [meant, ...others] = wants.due(3_000)
  expect(meant?.multihash).toBe(multihash(1))
  expect(others).toEqual([])
  expect(wants.due(10_000)).toEqual([])
  expect(wants.want(backend, 2, parsed(1), 10_000)).toBe(meant)
})

test('what is wanted again later than an echo comes is a new want', () => {
  const wants = new BackWants()
  wants.served(want(wants, 1), 1_000)
  expect(wants.want(backend, 0, parsed(1), 3_000)).toBeDefined()
})

test('an echo that was pushed out is forgotten, and so is everything else of it', () => {
  const wants = new BackWants(10)
  wants.served(want(wants, 1), 0)
  wants.want(backend, 1, parsed(1), 10)
  for (let n = 2; n < 100; n++) want(wants, n)
  expect(wants.due(60_000)).toEqual([])
})

test('a flood of echoes is bounded like any other', () => {
  const wants = new BackWants(100)
  for (let n = 0; n < 10_000; n++) {
    wants.served(want(wants, n, 0, n), n)
    wants.want(backend, 1, parsed(n), n)
  }
  expect(wants.size).toBe(100)
  expect(wants.due(1e6).length).toBeLessThanOrEqual(100)
})

/** The same block by a CIDv1, of any codec. */
function asV1(n: number, codec: number): ParsedCid {
  const { multihash: hash } = parsed(n)
  const key = `\x01${String.fromCharCode(codec)}${hash}` as CidKey
  return { ...parsed(n), key, codec }
}

test('a block that is wanted by two CIDs is one entry, which goes when neither is wanted any more', () => {
  const wants = new BackWants()
  const first = want(wants, 1, 0)
  expect(wants.want(backend, 0, asV1(1, 0x70), 0)).toBe(first)
  expect(wants.want(backend, 2, asV1(1, 0x70), 0)).toBe(first)
  expect(formsOf(first).map(({ codec, lanes }) => [codec, lanes])).toEqual([
    [0x70, 0b1],
    [0x70, 0b101],
  ])
  expect(wants.cancel(0, parsed(1))).toBeUndefined()
  expect(wants.retain(0, new Set())).toEqual([])
  expect(wants.cancel(2, asV1(1, 0x70))).toBe(first)
  expect(wants.size).toBe(0)
})

test('a want by another CID than that by which it was given is no echo', () => {
  const wants = new BackWants()
  wants.served(want(wants, 1), 1_000)
  expect(wants.want(backend, 1, parsed(1), 1_100)).toBeUndefined()
  const meant = wants.want(backend, 0, asV1(1, 0x55), 1_200)
  expect(meant?.multihash).toBe(multihash(1))
  expect(wants.due(60_000)).toEqual([])
})

test('CIDs of one block are bounded', () => {
  const wants = new BackWants()
  const first = want(wants, 1)
  for (let codec = 0; codec < 100; codec++) wants.want(backend, 0, asV1(1, codec), 0)
  expect(formsOf(first).length).toBe(8)
})
