import { expect, test } from 'bun:test'
import { hashBlock } from '#src/bitswap/block.ts'
import { bareBlockPrefix, parseCid } from '#src/bitswap/cid.ts'
import type { BlockEntry } from '#src/bitswap/message.ts'
import { digestOf } from '#src/content/digest.ts'
import { seededBlock, seededCid } from '#test/support/seeded-content.ts'

const bytes = seededBlock(1, 2, 1_000)
const cid = parseCid(seededCid(1, 2, 1_000).bytes)

function entry(block: Uint8Array): BlockEntry {
  return { prefix: undefined, bytes: block }
}

test('a block has the multihash of its bytes, whatever codec it is said to have', () => {
  if (typeof cid === 'string') throw new Error(cid)
  expect(hashBlock(digestOf, { ...cid, codec: 0x71 }, entry(bytes))).toBe(cid.multihash)
  expect(hashBlock(digestOf, bareBlockPrefix, entry(bytes))).toBe(cid.multihash)
  expect(hashBlock(digestOf, bareBlockPrefix, entry(bytes.slice(1)))).not.toBe(cid.multihash)
})

test('a function or a length that there is not has none', () => {
  expect(hashBlock(digestOf, { codec: 0x55, hashCode: 0x99, digestLength: 32 }, entry(bytes))).toBeUndefined()
  expect(hashBlock(digestOf, { codec: 0x55, hashCode: 0x12, digestLength: 33 }, entry(bytes))).toBeUndefined()
})
