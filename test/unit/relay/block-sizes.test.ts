import { expect, test } from 'bun:test'
import { type CidKey, codecs } from '#src/bitswap/cid.ts'
import { BlockSizes, largeBlockBytes } from '#src/relay/block-sizes.ts'
import { cidKey } from '#test/unit/relay/fixture.ts'

const raw = `\x01\x55${cidKey(1)}` as CidKey
const nodes = [cidKey(1), `\x01\x70${cidKey(1)}` as CidKey, `\x01\x71${cidKey(1)}` as CidKey]

function seen(...sizes: readonly (readonly [codec: number, bytes: number])[]): BlockSizes {
  const blockSizes = new BlockSizes()
  for (const [codec, bytes] of sizes) blockSizes.saw(codec, bytes)
  return blockSizes
}

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value)
}

test('nothing is expected before four blocks were seen', () => {
  expect(new BlockSizes().expectsLarge(raw)).toBeUndefined()
  expect(seen(...times(3, [codecs.raw, 2 ** 20] as const)).expectsLarge(raw)).toBeUndefined()
  expect(seen(...times(4, [codecs.raw, 2 ** 20] as const)).expectsLarge(raw)).toBe(true)
})

test('the limit itself is large', () => {
  expect(seen(...times(4, [codecs.raw, largeBlockBytes] as const)).expectsLarge(raw)).toBe(true)
  expect(seen(...times(4, [codecs.raw, largeBlockBytes - 1] as const)).expectsLarge(raw)).toBe(false)
})

test('leaves and nodes are told apart, whatever the version and codec of a node', () => {
  const sizes = seen(...times(4, [codecs.raw, 262_144] as const), ...times(4, [codecs.dagPb, 500] as const))
  expect(sizes.expectsLarge(raw)).toBe(true)
  expect(nodes.map((cid) => sizes.expectsLarge(cid))).toEqual([false, false, false])
})

test('one giant among small blocks changes nothing', () => {
  const sizes = seen(...times(100, [codecs.raw, 1_024] as const), ...times(3, [codecs.raw, 2 ** 21] as const))
  expect(sizes.expectsLarge(raw)).toBe(false)
})

test('a change of sizes is noticed within a dozen blocks', () => {
  const sizes = seen(
    ...times(1_000, [codecs.raw, 1_024] as const),
    ...times(12, [codecs.raw, 262_144] as const),
  )
  expect(sizes.expectsLarge(raw)).toBe(true)
  for (let n = 0; n < 12; n++) sizes.saw(codecs.raw, 1_024)
  expect(sizes.expectsLarge(raw)).toBe(false)
})
