import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { multihashKey, parseCid, parsePrefix, prefixOf } from '#src/bitswap/cid.ts'
import { toKey } from '#src/util/bytes.ts'

const codecs = fc.constantFrom(0x55, 0x70, 0x71, 0x0129, 0x78, 0x200, 0x1_0000_0000)
const hashes = fc.constantFrom(0x11, 0x12, 0x13, 0x14, 0x16, 0x1e, 0xb220, 0xb260, 0x1013)
const digests = fc.uint8Array({ minLength: 20, maxLength: 64 })
const cids = fc.oneof(
  fc.tuple(codecs, hashes, digests).map(([codec, hash, digest]) => CID.createV1(codec, create(hash, digest))),
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((digest) => CID.createV0(create(0x12, digest))),
)

test('parseCid agrees with multiformats on CIDs', () => {
  fc.assert(
    fc.property(cids, (cid) => {
      const parsed = parseCid(cid.bytes)
      expect(parsed).toEqual({
        key: toKey(cid.bytes) as never,
        multihash: toKey(cid.multihash.bytes) as never,
        codec: cid.code,
        hashCode: cid.multihash.code,
        digestLength: cid.multihash.size,
      })
      if (typeof parsed === 'string') return
      const digest = toKey(cid.multihash.digest)
      expect(multihashKey(parsed.hashCode, digest, parsed.digestLength)).toBe(parsed.multihash)
      const prefix = Uint8Array.from(prefixOf(parsed.key, parsed.multihash), (c) => c.charCodeAt(0))
      expect(parsePrefix(prefix)).toEqual({
        codec: cid.code,
        hashCode: cid.multihash.code,
        digestLength: cid.multihash.size,
      })
      expect(prefix[0]).toBe(cid.version)
    }),
    { numRuns: 1_000 },
  )
})

test('parseCid accepts nothing that multiformats does not, and never throws', () => {
  const almost = fc
    .tuple(cids, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }))
    .map(([cid, changes]) => {
      const bytes = cid.bytes.slice()
      for (const [at, value] of changes) bytes[at % 6] = value
      return bytes
    })
  fc.assert(
    fc.property(fc.oneof(almost, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const parsed = parseCid(bytes)
      if (typeof parsed === 'string') return
      const cid = CID.decode(bytes)
      expect(toKey(cid.multihash.bytes) as string).toBe(parsed.multihash)
    }),
    { numRuns: 5_000 },
  )
})

const digest = new Array<number>(32).fill(1)
const refused: readonly [string, number[], string][] = [
  ['nothing', [], 'bad-cid'],
  ['a CIDv0 cut short', [0x12, 0x20, ...digest.slice(1)], 'bad-cid'],
  ['a version that does not exist', [2, 0x55, 0x12, 0x20, ...digest], 'bad-cid'],
  ['a digest cut short', [1, 0x55, 0x12, 0x20, ...digest.slice(1)], 'bad-cid'],
  ['bytes behind the digest', [1, 0x55, 0x12, 0x20, ...digest, 0], 'bad-cid'],
  ['a version that is not minimal', [0x81, 0, 0x55, 0x12, 0x20, ...digest], 'bad-cid'],
  ['a codec that is not minimal', [1, 0xd5, 0, 0x12, 0x20, ...digest], 'bad-cid'],
  ['a hash code that is not minimal', [1, 0x55, 0x92, 0, 0x20, ...digest], 'bad-cid'],
  ['a digest length that is not minimal', [1, 0x55, 0x12, 0xa0, 0, ...digest], 'bad-cid'],
  ['a digest that could be forged', [1, 0x55, 0x12, 19, ...digest.slice(0, 19)], 'bad-cid'],
  ['an identity CID', [1, 0x55, 0, 4, 1, 2, 3, 4], 'identity-cid'],
  ['a CID of 169 bytes', [1, 0x55, 0xa0, 0xe4, 2, 164, ...new Array<number>(163).fill(0)], 'cid-too-long'],
]
for (const [what, bytes, fault] of refused) {
  test(`parseCid refuses ${what}`, () => {
    expect(parseCid(Uint8Array.from(bytes)) as string).toBe(fault)
  })
}

test('parsePrefix refuses what is none', () => {
  for (const bytes of [
    [],
    [1],
    [1, 0x55, 0x12],
    [2, 0x55, 0x12, 0x20],
    [1, 0x55, 0x12, 0x20, 0],
    [1, 0x55, 0x12, 19],
  ]) {
    expect(parsePrefix(Uint8Array.from(bytes))).toBeUndefined()
  }
})

test('a digest is cut to the length that was asked for, and never made longer', () => {
  expect(multihashKey(0x12, 'x'.repeat(32), 20) as string).toBe(`\x12\x14${'x'.repeat(20)}`)
  expect(multihashKey(0x12, 'x'.repeat(32), 33)).toBeUndefined()
  expect(multihashKey(0xb220, 'x'.repeat(32), 32) as string).toBe(`\xa0\xe4\x02\x20${'x'.repeat(32)}`)
})
