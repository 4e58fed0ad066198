import { expect, test } from 'bun:test'
import { type Body, copyOf, eachPiece, Gathering, joined, keptBytes, Pieces } from '#src/util/pieces.ts'

/** Bytes of which no two neighbours are the same. */
function counted(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (from + at * 7) & 0xff)
}

function piecesOf(body: Body): Uint8Array[] {
  const pieces: Uint8Array[] = []
  eachPiece(body, (piece) => pieces.push(piece))
  return pieces
}

function gathered(pieces: readonly Uint8Array[]): Gathering {
  const gathering = new Gathering()
  for (const piece of pieces) gathering.add(piece)
  return gathering
}

test('what was gathered is what came, in its order', () => {
  const whole = counted(50_000)
  const gathering = gathered([
    whole.subarray(0, 1),
    whole.subarray(1, 20_000),
    whole.subarray(20_000, 20_000),
    whole.subarray(20_000, 20_300),
    whole.subarray(20_300),
  ])
  expect(gathering.byteLength).toBe(50_000)
  expect(gathering.body().byteLength).toBe(50_000)
  expect(Buffer.compare(gathering.joined(), whole)).toBe(0)
  expect(Buffer.compare(Buffer.concat(piecesOf(gathering.body())), whole)).toBe(0)
  expect([...(gathering.body() as Pieces)].length).toBe(4)
})

test('large pieces are those that came, small ones are copies', () => {
  const [large, small] = [counted(4_096), counted(4_095)]
  const [first, second] = piecesOf(gathered([large, small]).body())
  expect(first).toBe(large)
  expect(second).not.toBe(small)
  small.fill(0)
  expect(Buffer.compare(second as Uint8Array, counted(4_095))).toBe(0)
})

test('nothing is a body of no bytes', () => {
  const nothing = gathered([new Uint8Array(0)])
  expect(nothing.byteLength).toBe(0)
  expect(nothing.body().byteLength).toBe(0)
  expect(piecesOf(nothing.body())).toEqual([])
  expect(nothing.joined()).toEqual(new Uint8Array(0))
  expect(keptBytes(nothing.body())).toBe(0)
})

test('one piece is its own body, and is not copied to be joined', () => {
  const only = counted(9_000)
  const gathering = gathered([only])
  expect(gathering.body()).toBe(only)
  expect(gathering.joined()).toBe(only)
  expect(joined(only)).toBe(only)
})

test('a body that was taken does not grow with what comes later', () => {
  const gathering = gathered([counted(5_000), counted(5_000)])
  const body = gathering.body()
  const before = body.byteLength
  gathering.add(counted(5_000))
  expect(joined(body).length).toBe(before)
})

test('a copy is in memory of its own', () => {
  const buffer = new ArrayBuffer(100_000)
  const views = [new Uint8Array(buffer, 10, 8_000), new Uint8Array(buffer, 9_000, 8_000)]
  for (const body of [views[0] as Uint8Array, new Pieces(views, 16_000)]) {
    const copy = copyOf(body)
    expect(copy.length).toBe(body.byteLength)
    expect(copy.buffer).not.toBe(buffer)
    expect(copy.buffer.byteLength).toBe(body.byteLength)
    expect(Buffer.compare(copy, joined(body))).toBe(0)
  }
})

test('what is kept counts with its buffers, each once while its views are neighbours', () => {
  const [one, other] = [new ArrayBuffer(50_000), new ArrayBuffer(70_000)]
  const view = (buffer: ArrayBuffer, at: number) => new Uint8Array(buffer, at, 5_000)
  expect(keptBytes(view(one, 3))).toBe(50_000)
  expect(keptBytes(new Pieces([view(one, 0), view(one, 5_000), view(other, 0)], 15_000))).toBe(120_000)
  // Never less than it is.
  expect(
    keptBytes(new Pieces([view(one, 0), view(other, 0), view(one, 5_000)], 15_000)),
  ).toBeGreaterThanOrEqual(120_000)
})

test('a flood of pieces of one byte keeps no more than it is, in a bounded number of pieces', () => {
  const gathering = new Gathering()
  const read = counted(256)
  const bytes = 300_000
  let most = 0
  for (let at = 0; at < bytes; at++) {
    gathering.add(read.subarray(at % 256, (at % 256) + 1))
    if (at % 509 === 0) most = Math.max(most, piecesOf(gathering.body()).length)
  }
  expect(gathering.byteLength).toBe(bytes)
  expect(keptBytes(gathering.body())).toBeLessThanOrEqual(2 * bytes)
  expect(most).toBeLessThanOrEqual(1_024)
  const whole = gathering.joined()
  for (let at = 0; at < bytes; at += 997) expect(whole[at]).toBe(read[at % 256] as number)
})

test('a flood of small views of large buffers does not keep those', () => {
  const gathering = new Gathering()
  const read = new Uint8Array(512 * 1024)
  for (let count = 0; count < 600; count++) {
    read.fill(count)
    gathering.add(read.subarray(count * 16, count * 16 + 4_096))
  }
  const whole = gathering.joined()
  // Copies: what was read afterwards into the same memory is not in them.
  for (let count = 0; count < 600; count++) expect(whole[count * 4_096 + 5]).toBe(count & 0xff)
  expect(keptBytes(gathering.body())).toBe(600 * 4_096)
})

test('however large the buffers, what is kept is at most 8 times what came', () => {
  for (const [piece, buffer] of [
    [4_096, 65_536],
    [4_096, 65_537],
    [16_000, 256_000],
    [16_000, 300_000],
    [32_768, 524_288],
  ] as const) {
    const gathering = new Gathering()
    for (let count = 0; count < 40; count++) gathering.add(new Uint8Array(new ArrayBuffer(buffer), 7, piece))
    expect(keptBytes(gathering.body())).toBeLessThanOrEqual(8 * gathering.byteLength)
  }
})
