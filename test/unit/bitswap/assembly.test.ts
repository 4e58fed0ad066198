import { expect, test } from 'bun:test'
import { Assembly } from '#src/bitswap/assembly.ts'
import { hashBlock, type RunningHash } from '#src/bitswap/block.ts'
import { bareBlockPrefix, type Prefix, parsePrefix } from '#src/bitswap/cid.ts'
import { decodeMessage, type Message, type MessageFault } from '#src/bitswap/message.ts'
import { maxBlockBytes } from '#src/bitswap/protocol.ts'
import { digestOf, startHash } from '#src/content/digest.ts'
import { FrameReader } from '#src/p2p/frames.ts'
import { type Body, eachPiece, joined, keptBytes, Pieces } from '#src/util/pieces.ts'
import { bytesOf, field, varint } from '#test/support/raw-message.ts'
import { frameWire, joinBytes } from '#test/support/wire.ts'
import { cidBytes } from '#test/unit/relay/fixture.ts'

const prefix = Uint8Array.of(1, 0x55, 0x12, 0x20)
const large = 20_000

function data(length: number, from = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * from + (at >> 8)) & 0xff)
}

function block(length = large, from = 1): Uint8Array {
  return field(0x1a, field(0x0a, prefix), field(0x12, data(length, from)))
}

function presence(n: number): Uint8Array {
  return field(0x22, field(0x0a, cidBytes(n)), 0x10, 1)
}

function wantlist(...numbers: readonly number[]): Uint8Array {
  return field(0x0a, ...numbers.map((n) => field(0x0a, field(0x0a, cidBytes(n)), 0x10, 1)))
}

/** Returns what comes of a message in pieces of such a length. */
function assembled(bytes: Uint8Array, pieceBytes = bytes.length, hash = startHash): Message | MessageFault {
  const assembly = new Assembly(hash)
  for (let at = 0; at < bytes.length; at += pieceBytes) assembly.add(bytes.subarray(at, at + pieceBytes))
  return assembly.finish()
}

/** What a message says, whatever the order of its blocks. */
function said(message: Message | MessageFault): unknown {
  if (typeof message === 'string') return message
  const blocks = message.blocks.map(
    ({ prefix, bytes }) =>
      `${prefix && Buffer.from(prefix).toString('hex')}:${Buffer.from(joined(bytes)).toString('hex')}`,
  )
  return { ...message, blocks: blocks.sort() }
}

/** Expects the same of a message by both ways, and returns it. */
function expectSame(bytes: Uint8Array): Message | MessageFault {
  const message = assembled(bytes)
  const expected = JSON.stringify(said(decodeMessage(bytes)))
  for (const pieceBytes of [bytes.length, 7, 4_096, 9_973])
    expect(JSON.stringify(said(assembled(bytes, pieceBytes))) === expected).toBe(true)
  if (typeof message === 'string') return message
  for (const { prefix, bytes, digest } of message.blocks) {
    const parsed = prefix && parsePrefix(prefix)
    if (digest !== undefined) expect(digest).toBe(digestOf(parsed?.hashCode ?? -1, bytes) as string)
  }
  return message
}

function blocksOf(message: Message | MessageFault): Message['blocks'] {
  if (typeof message === 'string') throw new Error(message)
  return message.blocks
}

test('a large block comes in its pieces, hashed, behind what else there is', () => {
  const bytes = bytesOf(wantlist(1, 2), field(0x12, data(100)), block(), block(300), presence(3))
  const message = expectSame(bytes) as Message
  expect([message.wants.length, message.presences.length, message.blocks.length]).toEqual([2, 1, 3])
  const last = blocksOf(assembled(bytes, 5_000)).at(-1)
  expect(last?.bytes).toBeInstanceOf(Pieces)
  expect(last?.digest).toBe(digestOf(0x12, data(large)) as string)
  expect(message.blocks.slice(0, 2).map(({ digest }) => digest)).toEqual([undefined, undefined])
})

test('several large blocks between wantlists and presences, each with its own digest', () => {
  const parts = [
    wantlist(1),
    block(large, 3),
    presence(2),
    block(400),
    block(40_000, 5),
    wantlist(4),
    block(16_400, 7),
  ]
  const message = expectSame(bytesOf(...parts)) as Message
  expect(message.wants.length).toBe(2)
  expect(message.blocks.filter(({ digest }) => digest !== undefined).length).toBe(3)
  expect(new Set(message.blocks.map(({ digest }) => digest)).size).toBe(4)
})

test('the last wantlist says whether it is a full one, however large the blocks around it', () => {
  const full = field(0x0a, 0x10, 1)
  expect(expectSame(bytesOf(full, block(), wantlist(1)))).toMatchObject({ full: false })
  expect(expectSame(bytesOf(wantlist(1), block(), full))).toMatchObject({ full: true })
})

test('pieces are those that came: nothing of a large block is copied', () => {
  const bytes = block(100_000)
  const message = assembled(bytes, 20_000)
  let views = 0
  for (const { bytes: body } of blocksOf(message)) {
    for (const { buffer } of body as Pieces) if (buffer === bytes.buffer) views++
  }
  expect(views).toBe(5)
})

test('small parts are counted against the whole message, its large blocks included', () => {
  const parts = bytesOf(...Array.from({ length: 1_600 }, () => field(0x22, 0x10, 1)))
  expect(typeof expectSame(bytesOf(block(100_000), parts))).toBe('object')
})

test('a block of the largest size passes, one byte more does not', () => {
  for (const pieceBytes of [65_536, 1_000_003]) {
    const [largest, tooLarge] = [block(maxBlockBytes), block(maxBlockBytes + 1)]
    const [entry] = blocksOf(assembled(largest, pieceBytes))
    expect([entry?.bytes.byteLength, entry?.digest?.length]).toEqual([maxBlockBytes, 32])
    expect(assembled(tooLarge, pieceBytes)).toBe('block-too-big')
    expect(assembled(bytesOf(block(), tooLarge), pieceBytes)).toBe('block-too-big')
  }
})

/** Blocks that are not as everyone writes them, of a size at which they would stay in pieces. */
const shapes: readonly [string, Uint8Array][] = [
  ['data before its prefix', field(0x1a, field(0x12, data(large)), field(0x0a, prefix))],
  ['no prefix', field(0x1a, field(0x12, data(large)))],
  ['no data', field(0x1a, field(0x0a, data(large)))],
  ['an empty prefix', field(0x1a, field(0x0a), field(0x12, data(large)))],
  [
    'two prefixes',
    field(0x1a, field(0x0a, 1, 0x55, 0x11, 20), field(0x0a, prefix), field(0x12, data(large))),
  ],
  [
    'a prefix behind',
    field(0x1a, field(0x0a, prefix), field(0x12, data(large)), field(0x0a, 1, 0x55, 0x11, 20)),
  ],
  [
    'data twice, large first',
    field(0x1a, field(0x0a, prefix), field(0x12, data(large)), field(0x12, data(9))),
  ],
  [
    'data twice, large last',
    field(0x1a, field(0x0a, prefix), field(0x12, data(9)), field(0x12, data(large))),
  ],
  ['empty data at the end', field(0x1a, field(0x0a, prefix), field(0x12, data(large)), field(0x12))],
  ['an unknown field before', field(0x1a, 0x18, 5, field(0x0a, prefix), field(0x12, data(large)))],
  ['an unknown field between', field(0x1a, field(0x0a, prefix), field(0x1a, 1, 2), field(0x12, data(large)))],
  ['an unknown field behind', field(0x1a, field(0x0a, prefix), field(0x12, data(large)), 0x18, 5)],
  ['another field in place of its prefix', field(0x1a, field(0x2a, prefix), field(0x12, data(large)))],
  ['another field in place of its data', field(0x1a, field(0x0a, prefix), field(0x1a, data(large)))],
  ['an unknown field alone', field(0x1a, field(0x2a, data(large)))],
  ['a long prefix', field(0x1a, field(0x0a, data(240)), field(0x12, data(large)))],
  ['a prefix too long to look at', field(0x1a, field(0x0a, data(300)), field(0x12, data(large)))],
  ['a large prefix', field(0x1a, field(0x0a, data(large)), field(0x12, data(large)))],
  [
    'tags longer than they must be',
    bytesOf(0x9a, 0, field(0x1a, 0x8a, 0, 4, prefix, 0x92, 0, varint(large), data(large)).subarray(1)),
  ],
  [
    'data of nearly the size of the block',
    field(0x1a, field(0x0a, prefix), 0x12, varint(large - 1), data(large)),
  ],
  [
    'data of more than the size of the block',
    field(0x1a, field(0x0a, prefix), 0x12, varint(large + 1), data(large)),
  ],
]
for (const [what, shape] of shapes) {
  test(`a block with ${what} is what it is in one piece`, () => {
    expectSame(shape)
    expectSame(bytesOf(wantlist(1), shape, presence(2)))
    expectSame(bytesOf(block(large, 3), shape, block(large, 5)))
  })
}

test('a block that says its prefix twice is hashed by the last one', () => {
  const sha1 = Uint8Array.of(1, 0x55, 0x11, 20)
  for (const [first, last] of [
    [prefix, sha1],
    [sha1, prefix],
  ] as const) {
    const shape = field(0x1a, field(0x0a, first), field(0x0a, last), field(0x12, data(large)))
    const [entry] = blocksOf(assembled(shape))
    if (entry === undefined) throw new Error('no block')
    const parsed = parsePrefix(last) as Prefix
    expect(parsePrefix(entry.prefix as Uint8Array)).toEqual(parsed)
    expect(hashBlock(digestOf, parsed, entry)).toBe(
      hashBlock(digestOf, parsed, { prefix: last, bytes: data(large) }),
    )
  }
})

const spoilt: readonly [string, Uint8Array][] = [
  ['tag of the prefix', bytesOf(...new Array<number>(8).fill(0x80))],
  ['tag of the prefix, and more', bytesOf(...new Array<number>(12).fill(0xff), 0x7f)],
]
for (const [what, varintOfNone] of spoilt) {
  test(`a number that is none in place of the ${what} is malformed`, () => {
    // What follows is what would follow a right one.
    expect(expectSame(field(0x1a, varintOfNone, 4, prefix, 0x12, varint(large), data(large)))).toBe(
      'malformed',
    )
    expect(expectSame(field(0x1a, field(0x0a, prefix), varintOfNone, varint(large), data(large)))).toBe(
      'malformed',
    )
    expect(expectSame(field(0x1a, 0x0a, varintOfNone, prefix, field(0x12, data(large))))).toBe('malformed')
    expect(expectSame(field(0x1a, field(0x0a, prefix), 0x12, varintOfNone, data(large)))).toBe('malformed')
    expect(expectSame(bytesOf(block(), varintOfNone, block()))).toBe('malformed')
  })
}

/** Fields of the message itself that this version does not know, or that are none. */
const between: readonly [string, Uint8Array][] = [
  ['a number', bytesOf(0x28, 5)],
  ['a negative number', bytesOf(0x28, ...new Array<number>(9).fill(0xff), 1)],
  ['a number of more than 53 bits', bytesOf(0x28, ...new Array<number>(8).fill(0xff), 1)],
  ['eight bytes', bytesOf(0x79, data(8))],
  ['four bytes', bytesOf(0x7d, data(4))],
  ['bytes', field(0x7a, data(100))],
  ['many bytes', field(0x7a, data(large))],
  ['no bytes', field(0x7a)],
  ['a block of Bitswap 1.0', field(0x12, data(large))],
  ['what would be a block in another field', field(0x7a, field(0x0a, prefix), field(0x12, data(large)))],
  ['what would be a block in one of Bitswap 1.0', field(0x12, field(0x0a, prefix), field(0x12, data(large)))],
  ['what would be a block in a presence', field(0x22, field(0x0a, prefix), field(0x12, data(large)))],
  ['what would be a block in a wantlist', field(0x0a, field(0x0a), field(0x12, data(large)))],
  ['a group', bytesOf(0x0b)],
  ['field zero', bytesOf(0x02, 0)],
  ['number zero', bytesOf(0x00, 0)],
  ['eight bytes with a high one first', bytesOf(0x79, ...new Array<number>(8).fill(0xff))],
]
for (const [what, unknown] of between) {
  test(`${what} among large blocks changes nothing of them`, () => {
    for (const parts of [
      [unknown, block()],
      [block(), unknown],
      [block(large, 3), unknown, block(large, 5)],
    ])
      expectSame(bytesOf(...parts))
  })
}

test('a message cut anywhere is malformed, or the shorter message', () => {
  const bytes = bytesOf(presence(1), block(), field(0x12, data(90)), block(17_000, 3), wantlist(7))
  const cuts = [
    ...Array(60).keys(),
    large,
    large + 50,
    large + 60,
    large + 150,
    large + 170,
    large + 200,
    large + 17_140,
  ]
  for (const cut of [...cuts, bytes.length - 1]) expectSame(bytes.subarray(0, cut))
})

test('a fault before or behind a large block is that of the message', () => {
  for (const fault of [bytesOf(0x0b), field(0x0a, 0x0a, 5), bytesOf(0x22, 40, 1)]) {
    expect(typeof expectSame(bytesOf(fault, block()))).toBe('string')
    expect(expectSame(bytesOf(block(), fault))).toBe('malformed')
  }
})

test('nothing is a message, as in one piece', () => {
  expect(assembled(new Uint8Array(0))).toEqual(decodeMessage(new Uint8Array(0)))
})

test('a hash that is unknown is none, and the block comes all the same', () => {
  for (const unknown of [
    Uint8Array.of(1, 0x55, 0x22, 0x20),
    Uint8Array.of(1, 0x55, 0, 0x20),
    Uint8Array.of(2, 0x55, 0x12, 0x20),
    Uint8Array.of(1, 0x55, 0x12, 4),
    Uint8Array.of(1, 0x55, 0x12, 0x20, 0),
    Uint8Array.of(1, 0x55, 0x12),
    new Uint8Array(0),
    new Uint8Array(200).fill(0xff),
  ]) {
    const shape = field(0x1a, field(0x0a, unknown), field(0x12, data(large)))
    const [entry] = blocksOf(expectSame(shape))
    expect([entry?.bytes.byteLength, entry?.digest]).toEqual([large, undefined])
    expect(entry?.prefix).toEqual(unknown)
  }
})

test('every hash function by which blocks are verified runs along', () => {
  for (const code of [0x11, 0x12, 0x13, 0x14, 0x16, 0x1b, 0x1e, 0x20, 0x56, 0x1013, 0xb220, 0xb260]) {
    const named = bytesOf(1, 0x71, varint(code), 20)
    const shape = field(0x1a, field(0x0a, named), field(0x12, data(large)))
    const [entry] = blocksOf(assembled(shape, 4_999))
    expect(entry?.digest).toBe(digestOf(code, data(large)) as string)
  }
})

test('a digest is cut, or refused, by the length that the prefix asks for', () => {
  for (const length of [20, 32, 33]) {
    const named = Uint8Array.of(1, 0x55, 0x12, length)
    const [entry] = blocksOf(assembled(field(0x1a, field(0x0a, named), field(0x12, data(large))), 5_000))
    if (entry === undefined) throw new Error('no block')
    const key = hashBlock(digestOf, parsePrefix(named) as Prefix, entry)
    const whole = hashBlock(digestOf, bareBlockPrefix, { prefix: undefined, bytes: data(large) }) as string
    expect(key as string | undefined).toBe(
      length > 32 ? undefined : `\x12${String.fromCharCode(length)}${whole.slice(2, 2 + length)}`,
    )
  }
})

test('nothing is hashed where nobody asks for it, nor what is small', () => {
  const unhashed = new Assembly()
  unhashed.add(block())
  expect(blocksOf(unhashed.finish())[0]).not.toHaveProperty('digest')
  let begun = 0
  const counting = (code: number): RunningHash | undefined => {
    begun++
    return startHash(code)
  }
  assembled(bytesOf(block(16_000), field(0x12, data(large)), presence(1)), 5_000, counting)
  expect(begun).toBe(0)
  assembled(block(), 5_000, counting)
  expect(begun).toBe(1)
})

test('the prefix keeps nothing of what was received', () => {
  const bytes = bytesOf(block(), new Uint8Array(0))
  // Sockets hand over Buffers, whose slices are views.
  for (const received of [bytes, Buffer.from(bytes)]) {
    const [entry] = blocksOf(assembled(received))
    expect(entry?.prefix?.buffer.byteLength).toBe(4)
  }
})

/** Keeps what it is given as pieces, each in a buffer of that size. */
function inBuffers(bytes: Uint8Array, pieceBytes: number, bufferBytes: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes)
    const buffer = new Uint8Array(bufferBytes)
    buffer.set(piece, 100)
    pieces.push(buffer.subarray(100, 100 + piece.length))
  }
  return pieces
}

test('a flood of small pieces keeps no large buffers', () => {
  const bytes = block(200_000)
  for (const [pieceBytes, bufferBytes] of [
    [1_000, 65_536],
    [4_096, 512 * 1024],
  ] as const) {
    const assembly = new Assembly(startHash)
    for (const piece of inBuffers(bytes, pieceBytes, bufferBytes)) assembly.add(piece)
    const [entry] = blocksOf(assembly.finish())
    expect(keptBytes(entry?.bytes as Body)).toBeLessThanOrEqual(1.1 * 200_000)
    expect(entry?.digest).toBe(digestOf(0x12, data(200_000)) as string)
  }
})

test('a flood of pieces of one byte comes whole, in a bounded number of pieces', () => {
  const bytes = bytesOf(presence(1), block(60_000), presence(2))
  const assembly = new Assembly(startHash)
  for (const byte of bytes) assembly.add(Uint8Array.of(byte))
  const message = assembly.finish()
  expect(JSON.stringify(said(message)) === JSON.stringify(said(decodeMessage(bytes)))).toBe(true)
  const [entry] = blocksOf(message)
  let pieces = 0
  if (entry !== undefined) eachPiece(entry.bytes, () => pieces++)
  expect(pieces).toBeWithin(1, 1_024)
  expect(entry?.digest).toBe(digestOf(0x12, data(60_000)) as string)
})

test('a swarm of the shortest fields costs about what it does in one piece', () => {
  for (const unit of [
    [0x28, 0],
    [0x0a, 0],
  ]) {
    const bytes = Uint8Array.from({ length: 1024 * 1024 }, (_, at) => unit[at % 2] as number)
    const pieces: Uint8Array[] = []
    for (let at = 0; at < bytes.length; at += 65_536) pieces.push(bytes.subarray(at, at + 65_536))
    let adds = 0
    const assembly = new Assembly()
    const subarray = Uint8Array.prototype.subarray
    // Cuts are what each field cost: counted, since time is not to be relied on.
    Uint8Array.prototype.subarray = function (this: Uint8Array, ...range: number[]) {
      adds++
      return subarray.apply(this, range as [number, number])
    } as typeof subarray
    try {
      for (const piece of pieces) assembly.add(piece)
    } finally {
      Uint8Array.prototype.subarray = subarray
    }
    expect(adds).toBeLessThan(10_000)
    expect(typeof assembly.finish()).toBe(typeof decodeMessage(bytes))
  }
})

test('large blocks behind a swarm of fields come as well', () => {
  for (const fields of [1_000, 1_023, 1_024, 1_025, 3_000]) {
    const swarm = joinBytes(Array.from({ length: fields }, () => Uint8Array.of(0x28, 1)))
    const message = expectSame(bytesOf(block(large, 3), swarm, block(large, 5), presence(1)))
    expect(blocksOf(message).length).toBe(2)
  }
})

test('frames at the length from which they are handed on in pieces', () => {
  for (const length of [32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1]) {
    const rest = presence(1)
    const overhead = block(large).length - large
    const bytes = bytesOf(block(length - rest.length - overhead), rest)
    expect(bytes.length).toBe(length)
    const reader = new FrameReader(100_000, () => new Assembly(startHash))
    const frames: (Uint8Array | Assembly)[] = []
    const wire = frameWire(bytes)
    for (let at = 0; at < wire.length; at += 5_000) {
      expect(reader.push(wire.subarray(at, at + 5_000), (frame) => frames.push(frame))).toBe(true)
    }
    const [frame] = frames
    expect(frame instanceof Assembly).toBe(length >= 32 * 1024)
    const message = frame instanceof Assembly ? frame.finish() : decodeMessage(frame as Uint8Array)
    expect(JSON.stringify(said(message)) === JSON.stringify(said(decodeMessage(bytes)))).toBe(true)
    // In one piece it is a view, however long.
    new FrameReader(100_000, () => new Assembly(startHash)).push(wire, (frame) => {
      expect((frame as Uint8Array).buffer).toBe(wire.buffer)
    })
  }
})

test('what is held of a long frame is what came of it, and nothing once it is whole', () => {
  const bytes = block(50_000)
  const wire = frameWire(bytes)
  const reader = new FrameReader<Assembly>(100_000, () => new Assembly(startHash))
  const head = wire.length - bytes.length
  let frames = 0
  for (let at = 0; at < wire.length; at += 777) {
    expect(reader.partial).toBe(at > 0)
    expect(reader.held).toBe(Math.max(0, at - head))
    reader.push(wire.subarray(at, at + 777), () => {
      frames++
      expect([reader.held, reader.partial]).toEqual([0, false])
    })
  }
  expect([frames, reader.held, reader.partial]).toEqual([1, 0, false])
})

test('each long frame of a stream is its own', () => {
  const messages = [
    block(40_000, 3),
    bytesOf(presence(1)),
    block(50_000, 5),
    new Uint8Array(0),
    block(33_000, 7),
  ]
  const wire = joinBytes(messages.map(frameWire))
  const reader = new FrameReader<Assembly>(100_000, () => new Assembly(startHash))
  const seen: (Message | MessageFault)[] = []
  for (let at = 0; at < wire.length; at += 9_000) {
    reader.push(wire.subarray(at, at + 9_000), (frame) =>
      seen.push(frame instanceof Assembly ? frame.finish() : decodeMessage(frame)),
    )
  }
  expect(seen.length).toBe(messages.length)
  for (const [n, message] of messages.entries())
    expect(JSON.stringify(said(seen[n] as Message)) === JSON.stringify(said(decodeMessage(message)))).toBe(
      true,
    )
})
