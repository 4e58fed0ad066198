import { expect, test } from 'bun:test'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { codecs } from '#src/bitswap/cid.ts'
import { linksOf } from '#src/content/links.ts'
import { toKey } from '#src/util/bytes.ts'
import { seededCid } from '#test/support/seeded-content.ts'

const [a, b, c] = [0, 1, 2].map((index) => seededCid(1, index, 100)) as [
  ReturnType<typeof seededCid>,
  ReturnType<typeof seededCid>,
  ReturnType<typeof seededCid>,
]
const keys = [a, b, c].map((cid) => toKey(cid.multihash.bytes))

test('links of dag-pb, in their order', () => {
  const bytes = dagPb.encode(
    dagPb.prepare({ Data: new Uint8Array(3), Links: [a, b, c].map((cid) => ({ Hash: cid })) }),
  )
  expect(linksOf(codecs.dagPb, bytes, 10)).toEqual(keys)
  expect(linksOf(codecs.dagPb, bytes, 2)).toEqual(keys.slice(0, 2))
})

test('links of dag-cbor and dag-json, wherever they are', () => {
  const value = { a, list: [b, { deep: [[c]] }], text: 'x', none: null, bytes: new Uint8Array(4) }
  for (const [codec, bytes] of [
    [codecs.dagCbor, dagCbor.encode(value)],
    [codecs.dagJson, dagJson.encode(value)],
  ] as const) {
    expect(new Set(linksOf(codec, bytes, 10))).toEqual(new Set(keys))
    expect(linksOf(codec, bytes, 1).length).toBe(1)
  }
})

test('a block inside a link has no key of its own; what it links to has', () => {
  const inline = (codec: number, bytes: Uint8Array) => CID.createV1(codec, identity.digest(bytes))
  const pb = (...links: readonly CID[]) =>
    dagPb.encode({ Links: links.map((Hash) => ({ Hash, Name: '', Tsize: 0 })) })
  const within = inline(
    codecs.dagPb,
    pb(inline(codecs.dagCbor, dagCbor.encode([b])), inline(codecs.raw, pb(c))),
  )
  expect(linksOf(codecs.dagPb, pb(a, within, c), 10)).toEqual(keys)
  expect(linksOf(codecs.dagPb, pb(a, within, c), 2)).toEqual(keys.slice(0, 2))
  expect(new Set(linksOf(codecs.dagCbor, dagCbor.encode({ a, within, c }), 10))).toEqual(new Set(keys))
  expect(linksOf(codecs.dagCbor, dagCbor.encode([within, within]), 1)).toEqual([keys[1] as string])
  expect(linksOf(codecs.dagPb, pb(inline(codecs.dagPb, pb(a, b, c, a))), 10)).toEqual([])
  const deep = (levels: number): CID => (levels === 0 ? a : inline(codecs.dagPb, pb(deep(levels - 1))))
  expect([3, 4].map((levels) => linksOf(codecs.dagPb, pb(deep(levels)), 10).length)).toEqual([1, 0])
})

test('what does not decode, and raw blocks, have none', () => {
  expect(linksOf(codecs.raw, new Uint8Array(10), 10)).toEqual([])
  expect(linksOf(codecs.dagPb, new Uint8Array(10).fill(0xff), 10)).toEqual([])
  expect(linksOf(codecs.dagCbor, Uint8Array.from([0x9f, 0x9f]), 10)).toEqual([])
  expect(linksOf(codecs.dagJson, new TextEncoder().encode('{"/":'), 10)).toEqual([])
  expect(linksOf(0x99, new Uint8Array(10), 10)).toEqual([])
})

test('depth that the sender chose does not end us', () => {
  const depth = 1_000_000
  const cbor = new Uint8Array(depth + 1).fill(0x81)
  cbor[depth] = 0
  expect(linksOf(codecs.dagCbor, cbor, 10)).toEqual([])
  expect(
    linksOf(codecs.dagJson, new TextEncoder().encode('['.repeat(depth) + ']'.repeat(depth)), 10),
  ).toEqual([])
})
