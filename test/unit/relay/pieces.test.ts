import { expect, test } from 'bun:test'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { codecs } from '#src/bitswap/cid.ts'
import { encodeAnswers } from '#src/bitswap/writer.ts'
import { linksOf } from '#src/content/links.ts'
import { Buffers } from '#src/relay/buffers.ts'
import { BlockCache } from '#src/relay/cache.ts'
import { Outbox } from '#src/relay/outbox.ts'
import { fromKey, toKey } from '#src/util/bytes.ts'
import { type Body, joined, keptBytes, Pieces } from '#src/util/pieces.ts'
import { blockKey } from '#test/support/cache-traces.ts'
import { seededBlock, seededCid } from '#test/support/seeded-content.ts'
import { decodeWire, joinBytes, unframeWire, type WireMessage } from '#test/support/wire.ts'
import { cidKey } from '#test/unit/relay/fixture.ts'

const overhead = 512
const prefix = '\x01\x55\x12\x20'

/** A block in pieces of that size, each with `around` bytes of something else in its buffer. */
function inPieces(block: Uint8Array, pieceBytes: number, around = 0): Pieces {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < block.length; at += pieceBytes) {
    const piece = block.subarray(at, at + pieceBytes)
    const buffer = new Uint8Array(piece.length + around).fill(0xee)
    buffer.set(piece, Math.floor(around / 2))
    pieces.push(buffer.subarray(Math.floor(around / 2), Math.floor(around / 2) + piece.length))
  }
  return new Pieces(pieces, block.length)
}

function read(frame: readonly Uint8Array[]): WireMessage {
  const [message, ...more] = unframeWire(joinBytes(frame))
  expect(more).toEqual([])
  return decodeWire(message as Uint8Array)
}

function expectBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  expect(Buffer.compare(actual as Uint8Array, expected)).toBe(0)
}

test('a block in pieces is written as one in one piece, in every version', () => {
  const blocks = [100_000, 4_096, 4_095, 10, 0].map((bytes, n) => seededBlock(1, n, bytes))
  const presences = [[cidKey(1), cidKey(2)], [cidKey(3)]] as const
  for (const version of ['1.0', '1.1', '1.2'] as const) {
    const frames = [(block: Uint8Array) => block, (block: Uint8Array) => inPieces(block, 1_500, 70)].map(
      (body) =>
        encodeAnswers(
          version,
          blocks.map((block) => ({ prefix, bytes: body(block) })),
          ...presences,
        ),
    )
    const [whole, pieces] = frames as [Uint8Array[], Uint8Array[]]
    expectBytes(joinBytes(pieces), joinBytes(whole))
    const message = read(pieces)
    const written = version === '1.0' ? message.blocks : message.payload.map(({ data }) => data)
    expect(written.length).toBe(blocks.length)
    for (const [n, block] of blocks.entries()) expectBytes(written[n], block)
  }
})

test('large blocks in pieces are passed on piece by piece, without a copy', () => {
  const body = inPieces(seededBlock(1, 0, 50_000), 9_000)
  const frame = encodeAnswers('1.2', [{ prefix, bytes: body }], [], [])
  for (const piece of body) expect(frame).toContain(piece)
})

test('an outbox counts a block in pieces by its bytes, and sends all of it', () => {
  const buffers = new Buffers(1e9, 1e9)
  const [one, other] = [new Outbox(buffers), new Outbox(buffers)]
  const blocks = [300_000, 5_000, 20_000].map((bytes, n) => seededBlock(2, n, bytes))
  for (const block of blocks) {
    one.addBlock(prefix, block)
    other.addBlock(prefix, inPieces(block, 4_096))
    expect(other.bytes).toBe(one.bytes)
  }
  const seen: Uint8Array[] = []
  for (let frame = other.take('1.2'); frame !== undefined; frame = other.take('1.2')) {
    for (const { prefix: said, data } of read(frame).payload) {
      expect(said).toEqual(fromKey(prefix))
      seen.push(data)
    }
  }
  expect(seen.length).toBe(3)
  for (const [n, block] of blocks.entries()) expectBytes(seen[n], block)
  one.clear()
  expect([other.bytes, buffers.usedBytes]).toEqual([0, 0])
})

test('the cache gives a block in pieces back as it came, and to everyone the same', () => {
  const cache = new BlockCache(100_000_000)
  const block = seededBlock(3, 0, 100_000)
  const body = inPieces(block, 10_000)
  cache.offer(blockKey(1), body)
  expect(cache.get(blockKey(1))).toBe(body)
  expect(cache.get(blockKey(1))).toBe(body)
  expect(cache.bytes).toBe(100_000 + overhead)
  expectBytes(joined(cache.get(blockKey(1)) as Body), block)
})

test('what its pieces keep counts while it waits in the window; then they are copied if it is much', () => {
  const cache = new BlockCache(100_000_000)
  const block = seededBlock(3, 1, 100_000)
  cache.offer(blockKey(1), inPieces(block, 10_000, 30_000))
  expect(cache.bytes).toBe(400_000 + overhead)
  expect(keptBytes(cache.get(blockKey(1)) as Body)).toBe(400_000)
  // The window is a hundredth: one that it is too small for does not wait in it, and the next one pushes out the first.
  cache.offer(blockKey(2), new Uint8Array(900_000))
  expect(cache.bytes).toBe(100_000 + overhead + 900_000 + overhead)
  const held = cache.get(blockKey(1)) as Body
  expect(keptBytes(held)).toBe(100_000)
  expectBytes(joined(held), block)
})

test('pieces that keep little more than they are stay as they are in the main part', () => {
  const cache = new BlockCache(100_000_000)
  const body = inPieces(seededBlock(3, 2, 100_000), 10_000, 2_000)
  cache.offer(blockKey(1), body)
  cache.offer(blockKey(2), new Uint8Array(950_000))
  expect(cache.get(blockKey(1))).toBe(body)
})

test('neighbours in one buffer weigh as that buffer does', () => {
  const cache = new BlockCache(100_000_000)
  const read = seededBlock(3, 3, 100_000)
  const body = new Pieces([read.subarray(100, 50_000), read.subarray(50_100, 99_000)], 98_800)
  cache.offer(blockKey(1), body)
  expect(cache.bytes).toBe(100_000 + overhead)
})

test('a block in pieces that keeps more than the cache has is held as a copy, or not at all, never beyond its bounds', () => {
  const capacity = 1_000_000
  const cache = new BlockCache(capacity)
  const blocks = Array.from({ length: 40 }, (_, n) => seededBlock(4, n, 50_000))
  for (const [n, block] of blocks.entries()) {
    cache.offer(blockKey(n), inPieces(block, 5_000, 300_000))
    expect(cache.bytes).toBeLessThanOrEqual(capacity)
  }
  let held = 0
  for (const [n, block] of blocks.entries()) {
    const body = cache.get(blockKey(n))
    if (body === undefined) continue
    held++
    expect(keptBytes(body)).toBe(50_000)
    expectBytes(joined(body), block)
  }
  expect(held).toBeGreaterThan(10)
  // By its own size, not by what it keeps.
  cache.offer(blockKey(99), inPieces(new Uint8Array(capacity / 8 + 1), 5_000))
  expect(cache.get(blockKey(99))).toBeUndefined()
})

test('a block in pieces has the links of one in one piece', () => {
  const cids = Array.from({ length: 200 }, (_, n) => seededCid(1, n, 100))
  const node = dagPb.encode(dagPb.prepare({ Data: new Uint8Array(3), Links: cids.map((Hash) => ({ Hash })) }))
  const keys = cids.map((cid) => toKey(cid.multihash.bytes))
  for (const pieceBytes of [1, 37, 4_096, node.length]) {
    expect(linksOf(codecs.dagPb, inPieces(node, pieceBytes, 5), 1_000)).toEqual(keys)
    expect(linksOf(codecs.dagPb, inPieces(node, pieceBytes, 5), 3)).toEqual(keys.slice(0, 3))
    expect(new Set(linksOf(codecs.dagCbor, inPieces(dagCbor.encode(cids), pieceBytes), 1_000))).toEqual(
      new Set(keys),
    )
    expect(linksOf(codecs.raw, inPieces(node, pieceBytes), 1_000)).toEqual([])
    expect(linksOf(codecs.dagPb, inPieces(node.subarray(1), pieceBytes), 1_000)).toEqual([])
  }
})
