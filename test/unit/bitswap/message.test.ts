import { expect, test } from 'bun:test'
import { decodeMessage } from '#src/bitswap/message.ts'
import { maxBlockBytes, versionOf } from '#src/bitswap/protocol.ts'
import { type Body, joined } from '#src/util/pieces.ts'
import { encodeWire } from '#test/support/wire.ts'

test('a block of the largest size passes, one byte more does not', () => {
  const prefix = Uint8Array.from([1, 0x55, 0x12, 0x20])
  const largest = new Uint8Array(maxBlockBytes)
  const tooBig = new Uint8Array(maxBlockBytes + 1)
  expect(decodeMessage(encodeWire({ payload: [{ prefix, data: largest }] }))).toMatchObject({ wants: [] })
  expect(decodeMessage(encodeWire({ blocks: [largest] }))).toMatchObject({ wants: [] })
  expect(decodeMessage(encodeWire({ payload: [{ prefix, data: tooBig }] }))).toBe('block-too-big')
  expect(decodeMessage(encodeWire({ blocks: [tooBig] }))).toBe('block-too-big')
})

test('an empty message is a message', () => {
  expect(decodeMessage(new Uint8Array(0))).toEqual({ full: false, wants: [], blocks: [], presences: [] })
})

test('blocks and CIDs are views of the frame', () => {
  const frame = encodeWire({
    entries: [
      { cid: Uint8Array.from([1, 2, 3]), priority: 1, cancel: false, have: true, sendDontHave: true },
    ],
    blocks: [new Uint8Array(100)],
  })
  const message = decodeMessage(frame)
  if (typeof message === 'string') throw new Error(message)
  expect(message.wants[0]?.cid.buffer).toBe(frame.buffer)
  expect(joined(message.blocks[0]?.bytes as Body).buffer).toBe(frame.buffer)
})

const malformed: readonly [string, number[]][] = [
  ['a field number of zero', [0x02, 0x00]],
  ['a group', [0x0b]],
  ['a length beyond the end', [0x12, 0x05, 1]],
  ['a wantlist that ends in an entry', [0x0a, 0x02, 0x0a, 0x05]],
  ['an entry whose CID is longer than it', [0x0a, 0x04, 0x0a, 0x02, 0x0a, 0x20]],
  ['a fixed number cut short', [0x79, 1, 2]],
  ['a varint that does not end', new Array<number>(20).fill(0xff)],
]
for (const [what, bytes] of malformed) {
  test(`${what} is malformed`, () => {
    expect(decodeMessage(Uint8Array.from(bytes))).toBe('malformed')
  })
}

test('a frame of nothing but the shortest parts is malformed before it costs much', () => {
  const parts = (unit: readonly number[], count: number): Uint8Array =>
    Uint8Array.from({ length: unit.length * count }, (_, at) => unit[at % unit.length] as number)
  const list = parts([0x0a, 0x00], 50_000)
  const wants = Uint8Array.from([0x0a, 0xa0, 0x8d, 0x06, ...list])
  expect(decodeMessage(wants)).toBe('malformed')
  for (const tag of [0x12, 0x1a, 0x22]) expect(decodeMessage(parts([tag, 0], 50_000))).toBe('malformed')
  expect(decodeMessage(parts([0x12, 0], 1_000))).toMatchObject({ wants: [] })
})

test('each protocol id says what it can carry', () => {
  expect(
    ['/ipfs/bitswap/1.2.0', '/ipfs/bitswap/1.1.0', '/ipfs/bitswap/1.0.0', '/ipfs/bitswap'].map(versionOf),
  ).toEqual(['1.2', '1.1', '1.0', '1.0'])
})
