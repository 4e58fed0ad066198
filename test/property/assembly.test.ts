import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { Assembly } from '#src/bitswap/assembly.ts'
import { hashBlock } from '#src/bitswap/block.ts'
import { parsePrefix } from '#src/bitswap/cid.ts'
import { decodeMessage, type Message, type MessageFault } from '#src/bitswap/message.ts'
import { digestOf, startHash } from '#src/content/digest.ts'
import { FrameReader } from '#src/p2p/frames.ts'
import { eachPiece, joined, Pieces } from '#src/util/pieces.ts'
import { expectHeld, split } from '#test/support/cuts.ts'
import { field, varint } from '#test/support/raw-message.ts'
import { frameWire, joinBytes } from '#test/support/wire.ts'

const maxBytes = 1_000_000
/** Nobody writes a number so. */
const noNumber = new Uint8Array(8).fill(0x80)

const hashCodes = [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x1b, 0x1d, 0x1e, 0x20, 0x56, 0x1013]
const blake2 = [0xb201, 0xb214, 0xb220, 0xb240, 0xb241, 0xb260]
const knownHashes = [...hashCodes, ...blake2]

const prefixes = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.constantFrom(0, 1),
        fc.constantFrom(...knownHashes, 0, 0x22, 0xb261),
        fc.constantFrom(20, 32, 64),
      )
      .map(([version, code, length]) =>
        joinBytes([Uint8Array.of(version, 0x55), varint(code), varint(length)]),
      ),
  },
  fc.uint8Array({ maxLength: 12 }),
  fc.integer({ min: 200, max: 270 }).map((length) => new Uint8Array(length).fill(length)),
)

/** Around the size from which blocks stay in pieces, and well above it. */
const lengths = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 16_300, max: 16_500 }),
  fc.integer({ min: 20_000, max: 70_000 }),
)
const bodies = fc
  .tuple(lengths, fc.nat({ max: 255 }))
  .map(([length, from]) => Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 7) + from) & 0xff))

const unknown = fc.constantFrom(
  Uint8Array.of(0x28, 0x05),
  Uint8Array.of(0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
  Uint8Array.of(0x7a, 0x03, 1, 2, 3),
  Uint8Array.of(0x79, 1, 2, 3, 4, 5, 6, 7, 8),
  Uint8Array.of(0x7d, 1, 2, 3, 4),
)

const prefixField = prefixes.map((prefix) => field(0x0a, prefix))
const dataField = bodies.map((data) => field(0x12, data))
/** As everyone writes them, and as nobody does. */
const blocks = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(prefixField, dataField).map((parts) => field(0x1a, ...parts)) },
  fc.array(fc.oneof(prefixField, dataField, unknown), { maxLength: 4 }).map((parts) => field(0x1a, ...parts)),
  fc
    .tuple(prefixes, bodies, fc.integer({ min: -2, max: 2 }))
    .map(([prefix, data, off]) =>
      field(0x1a, field(0x0a, prefix), Uint8Array.of(0x12), varint(Math.max(0, data.length + off)), data),
    ),
  fc
    .tuple(prefixes, bodies, fc.boolean())
    .map(([prefix, data, first]) =>
      first
        ? field(0x1a, noNumber, varint(prefix.length), prefix, field(0x12, data))
        : field(0x1a, field(0x0a, prefix), noNumber, varint(data.length), data),
    ),
)

const cids = fc.uint8Array({ minLength: 1, maxLength: 60 })
const entries = fc
  .tuple(cids, fc.boolean())
  .map(([cid, have]) => field(0x0a, field(0x0a, cid), Uint8Array.of(0x10, 3, 0x20, have ? 1 : 0)))
const wantlists = fc
  .tuple(fc.array(entries, { maxLength: 4 }), fc.boolean())
  .map(([list, full]) => field(0x0a, ...list, Uint8Array.of(0x10, full ? 1 : 0)))
const presences = cids.map((cid) => field(0x22, field(0x0a, cid), Uint8Array.of(0x10, 1)))
const bareBlocks = bodies.map((data) => field(0x12, data))

const messages = fc
  .array(
    fc.oneof({ weight: 4, arbitrary: blocks }, wantlists, presences, bareBlocks, {
      weight: 1,
      arbitrary: unknown,
    }),
    { maxLength: 7 },
  )
  .map((parts) => joinBytes([new Uint8Array(0), ...parts]))

const cuts = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 20 }),
  fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }).map((few) => [...few, 20_000]),
)

/** What a message says, and its blocks whatever their order. */
function said(message: Message | MessageFault): string {
  if (typeof message === 'string') return 'fault'
  const { full, wants, presences } = message
  const hex = (bytes: Uint8Array | undefined): string | undefined =>
    bytes && Buffer.from(bytes).toString('hex')
  return JSON.stringify([
    full,
    wants.map((want) => ({ ...want, cid: hex(want.cid) })),
    presences.map((presence) => ({ ...presence, cid: hex(presence.cid) })),
    message.blocks.map(({ prefix, bytes }) => `${hex(prefix)} ${hex(joined(bytes))}`).sort(),
  ])
}

/** Every digest that is there is that of the bytes by what the prefix says. */
function expectTrue(message: Message | MessageFault): number {
  if (typeof message === 'string') return 0
  let digests = 0
  for (const entry of message.blocks) {
    if (entry.digest === undefined) continue
    digests++
    const prefix = entry.prefix && parsePrefix(entry.prefix)
    if (prefix === undefined) throw new Error('a digest by no prefix')
    const bytes = joined(entry.bytes)
    expect(entry.digest).toBe(digestOf(prefix.hashCode, bytes) as string)
    expect(hashBlock(digestOf, prefix, entry)).toBe(
      hashBlock(digestOf, prefix, { prefix: entry.prefix, bytes }) as never,
    )
  }
  return digests
}

/** Reads one frame in pieces. */
function read(pieces: readonly Uint8Array[]): (Message | MessageFault)[] {
  const reader = new FrameReader(maxBytes, () => new Assembly(startHash))
  const read: (Message | MessageFault)[] = []
  for (const piece of pieces) {
    const goesOn = reader.push(piece, (frame) =>
      read.push(frame instanceof Assembly ? frame.finish() : decodeMessage(frame)),
    )
    expect(goesOn).toBe(true)
  }
  expect([reader.held, reader.partial]).toEqual([0, false])
  return read
}

function assemble(pieces: readonly Uint8Array[]): Message | MessageFault {
  const assembly = new Assembly(startHash)
  for (const piece of pieces) assembly.add(piece)
  return assembly.finish()
}

test('a message in pieces is what it is in one, and its digests are true', () => {
  let digests = 0
  fc.assert(
    fc.property(messages, cuts, fc.boolean(), (bytes, lengths, apart) => {
      const expected = said(decodeMessage(bytes))
      const message = assemble(split(bytes, lengths, apart))
      expect(said(message) === expected).toBe(true)
      digests += expectTrue(message)
      const [framed, ...more] = read(split(frameWire(bytes), lengths, apart))
      expect(more).toEqual([])
      expect(said(framed as Message) === expected).toBe(true)
      expectTrue(framed as Message)
    }),
    { numRuns: 200 },
  )
  // Else this says nothing.
  expect(digests).toBeGreaterThan(20)
})

test('so is one with mistakes, and one that was cut short', () => {
  const mistakes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean()), {
    maxLength: 6,
  })
  fc.assert(
    fc.property(messages, cuts, mistakes, fc.option(fc.nat()), (right, lengths, changes, cut) => {
      const bytes = right.slice(0, cut === null ? right.length : right.length - (cut % (right.length + 1)))
      // In the head, where numbers are, or anywhere.
      for (const [at, value, early] of changes)
        if (bytes.length > 0) bytes[at % Math.min(bytes.length, early ? 40 : bytes.length)] = value
      const message = assemble(split(bytes, lengths))
      expect(said(message) === said(decodeMessage(bytes))).toBe(true)
      expectTrue(message)
    }),
    { numRuns: 300 },
  )
})

test('so is one byte by byte', () => {
  fc.assert(
    fc.property(messages, (bytes) => {
      fc.pre(bytes.length < 80_000)
      const message = assemble(split(bytes, [1]))
      expect(said(message) === said(decodeMessage(bytes))).toBe(true)
      expectTrue(message)
    }),
    { numRuns: 15 },
  )
})

test('several messages of one stream do not mix', () => {
  fc.assert(
    fc.property(fc.array(messages, { maxLength: 4 }), cuts, (list, lengths) => {
      const wire = joinBytes([new Uint8Array(0), ...list.map(frameWire)])
      const seen = read(split(wire, lengths))
      expect(seen.map(said).join() === list.map((bytes) => said(decodeMessage(bytes))).join()).toBe(true)
      for (const message of seen) expectTrue(message)
    }),
    { numRuns: 60 },
  )
})

test('what is held of a long frame is what came of it', () => {
  fc.assert(
    fc.property(messages, cuts, fc.nat(), (bytes, lengths, until) => {
      expectHeld(new FrameReader(maxBytes, () => new Assembly(startHash)), bytes, lengths, until)
    }),
    { numRuns: 100 },
  )
})

test('random bytes in pieces are what they are in one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), cuts, (bytes, lengths) => {
      expect(said(assemble(split(bytes, lengths))) === said(decodeMessage(bytes))).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

test('a digest of pieces is that of the bytes, by every hash function', () => {
  const blake = Array.from({ length: 0x60 }, (_, at) => 0xb201 + at)
  const all = [...hashCodes, ...blake]
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 })
  fc.assert(
    fc.property(pieces, (list) => {
      const whole = joinBytes([new Uint8Array(0), ...list])
      const body = new Pieces(list, whole.length)
      for (const code of all) {
        const digest = digestOf(code, whole)
        expect(digest).toBeString()
        expect(digestOf(code, body)).toBe(digest as string)
        const running = startHash(code)
        eachPiece(body, (piece) => running?.update(piece))
        expect(running?.digest()).toBe(digest as string)
      }
      expect(digestOf(0x22, body)).toBeUndefined()
    }),
    { numRuns: 10 },
  )
})
