import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { CidKey } from '#src/bitswap/cid.ts'
import { decodeMessage, type Message } from '#src/bitswap/message.ts'
import type { Version } from '#src/bitswap/protocol.ts'
import { encodeAnswers, encodeWants } from '#src/bitswap/writer.ts'
import { fromKey, toKey } from '#src/util/bytes.ts'
import { joined } from '#src/util/pieces.ts'
import { decodeWire, encodeWire, joinBytes, unframeWire, type WireMessage } from '#test/support/wire.ts'

const cids = fc.uint8Array({ minLength: 1, maxLength: 180 })
const blocks = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.integer({ min: 4_000, max: 4_200 }).map((length) => new Uint8Array(length).fill(length & 0xff)),
  fc.constant(new Uint8Array(300_000).fill(7)),
)

const wireMessages: fc.Arbitrary<WireMessage> = fc.record({
  full: fc.boolean(),
  entries: fc.array(
    fc.record({
      cid: cids,
      priority: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
      cancel: fc.boolean(),
      have: fc.boolean(),
      sendDontHave: fc.boolean(),
    }),
    { maxLength: 20 },
  ),
  blocks: fc.array(blocks, { maxLength: 3 }),
  payload: fc.array(fc.record({ prefix: fc.uint8Array({ maxLength: 12 }), data: blocks }), { maxLength: 3 }),
  presences: fc.array(fc.record({ cid: cids, have: fc.boolean() }), { maxLength: 20 }),
})

/** Puts what was read in the oracle's terms. An absent priority is 1 for us, which is the protocol's default. */
function asWire(message: Message): WireMessage {
  return {
    full: message.full,
    entries: message.wants.map((want) => ({ ...want, cid: want.cid })),
    blocks: message.blocks.filter((block) => block.prefix === undefined).map((block) => joined(block.bytes)),
    payload: message.blocks.flatMap(({ prefix, bytes }) =>
      prefix === undefined ? [] : [{ prefix, data: joined(bytes) }],
    ),
    presences: message.presences.map((presence) => ({ ...presence })),
  }
}

function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, v) => (v instanceof Uint8Array ? toKey(v.subarray(0, 500)) : v)),
  )
}

test('decodeMessage reads what the protobuf says', () => {
  fc.assert(
    fc.property(wireMessages, (message) => {
      const decoded = decodeMessage(encodeWire(message))
      expect(typeof decoded).toBe('object')
      const expected = {
        ...message,
        entries: message.entries.map((e) => ({ ...e, priority: e.priority || 1 })),
      }
      expect(plain(asWire(decoded as Message))).toEqual(plain(expected))
    }),
    { numRuns: 300 },
  )
})

test('decodeMessage ignores fields that it does not know', () => {
  const unknown = fc.constantFrom<readonly number[]>(
    [0x28, 0x05], // pendingBytes
    [0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // negative
    [0x7a, 0x03, 1, 2, 3],
    [0x79, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x7d, 1, 2, 3, 4],
  )
  fc.assert(
    fc.property(wireMessages, unknown, unknown, (message, before, after) => {
      const bytes = joinBytes([Uint8Array.from(before), encodeWire(message), Uint8Array.from(after)])
      expect(plain(decodeMessage(bytes))).toEqual(plain(decodeMessage(encodeWire(message))))
    }),
    { numRuns: 100 },
  )
})

test('decodeMessage never throws, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect(['object', 'string']).toContain(typeof decodeMessage(bytes))
    }),
    { numRuns: 3_000 },
  )
})

test('decodeMessage never throws on a message with mistakes, and stays within its frame', () => {
  const mistakes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(wireMessages, mistakes, fc.nat(), (message, changes, cut) => {
      const bytes = encodeWire(message)
      if (bytes.length === 0) return
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      const frame = bytes.subarray(0, bytes.length - (cut % bytes.length))
      const decoded = decodeMessage(frame)
      if (typeof decoded === 'string') return
      let size = 0
      for (const block of decoded.blocks) size += block.bytes.byteLength
      for (const want of decoded.wants) size += want.cid.length
      expect(size).toBeLessThanOrEqual(frame.length)
    }),
    { numRuns: 2_000 },
  )
})

test('every cut of a message is malformed or a shorter message, never a wrong one', () => {
  const message = {
    payload: [{ prefix: Uint8Array.from([1, 0x55, 0x12, 0x20]), data: new Uint8Array(100).fill(9) }],
  }
  const bytes = encodeWire(message)
  for (let length = 1; length < bytes.length; length++) {
    expect(decodeMessage(bytes.subarray(0, length))).toBe('malformed')
  }
})

const keys = cids.map((cid) => toKey(cid) as CidKey)

test('encodeAnswers writes what the protobuf says, for each version', () => {
  const outgoing = fc.array(
    fc.record({ prefix: fc.uint8Array({ maxLength: 12 }).map((p) => toKey(p)), bytes: blocks }),
    {
      maxLength: 6,
    },
  )
  const versions = fc.constantFrom<Version>('1.0', '1.1', '1.2')
  fc.assert(
    fc.property(versions, outgoing, fc.array(keys), fc.array(keys), (version, out, haves, dontHaves) => {
      const [frame, ...more] = unframeWire(joinBytes(encodeAnswers(version, out, haves, dontHaves)))
      expect(more).toEqual([])
      const message = decodeWire(frame as Uint8Array)
      expect(message.entries).toEqual([])
      const payload = out.map(({ prefix, bytes }) => ({ prefix: fromKey(prefix), data: bytes }))
      expect(plain(message.payload)).toEqual(plain(version === '1.0' ? [] : payload))
      expect(plain(message.blocks)).toEqual(
        plain(version === '1.0' ? out.map((block) => joined(block.bytes)) : []),
      )
      const presences = [
        ...haves.map((cid) => ({ cid: fromKey(cid), have: true })),
        ...dontHaves.map((cid) => ({ cid: fromKey(cid), have: false })),
      ]
      expect(plain(message.presences)).toEqual(plain(version === '1.2' ? presences : []))
    }),
    { numRuns: 300 },
  )
})

test('encodeAnswers passes large blocks on without a copy', () => {
  const bytes = new Uint8Array(10_000)
  const pieces = encodeAnswers('1.2', [{ prefix: 'p', bytes }], [], [])
  expect(pieces.some((piece) => piece === bytes)).toBe(true)
})

test('encodeWants writes wants that ask for DONT_HAVE, and cancels', () => {
  const wants = fc.array(
    fc.record({
      cid: keys,
      kind: fc.constantFrom('block' as const, 'have' as const, 'cancel' as const),
      priority: fc.integer({ min: 1, max: 0x7fff_ffff }),
    }),
    { minLength: 1, maxLength: 50 },
  )
  fc.assert(
    fc.property(wants, (list) => {
      const message = decodeWire(unframeWire(encodeWants(list))[0] as Uint8Array)
      expect(message.full).toBe(false)
      expect(plain(message.entries)).toEqual(
        plain(
          list.map(({ cid, kind, priority }) => ({
            cid: fromKey(cid),
            priority,
            cancel: kind === 'cancel',
            have: kind === 'have',
            sendDontHave: kind !== 'cancel',
          })),
        ),
      )
    }),
    { numRuns: 300 },
  )
})
