import { expect, test } from 'bun:test'
import { chunksOf, compare, type DemoFile, seededFile, textFile } from '#src/demo/content.ts'
import { type Fetched, fetchAll, type Placed } from '#src/demo/fetching.ts'
import { added, type Figures } from '#src/demo/figures.ts'
import { columns, formatSize, judge, type Round, repeatOf, tableOf } from '#src/demo/report.ts'

const edge = '12D3KooWEdge'
const file = seededFile('film.bin', 1, 600 * 1024)

async function* changed(change: (bytes: Uint8Array) => Uint8Array): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const chunk of chunksOf(file)) pieces.push(chunk)
  const whole = change(Buffer.concat(pieces))
  // Cut elsewhere than the blocks were, since a reader may be given any pieces.
  for (let at = 0; at < whole.length; at += 100_000) yield whole.subarray(at, at + 100_000)
}

const flipped = (offset: number) => (bytes: Uint8Array) => {
  const copy = bytes.slice()
  copy[offset] = (copy[offset] ?? 0) ^ 1
  return copy
}

function fetched(changes: Partial<Fetched> = {}): Fetched {
  return {
    file,
    cid: 'bafy1',
    holder: 'backend A',
    comparison: { right: true, bytes: file.bytes.length },
    ms: 100,
    from: new Map([['backend A', { blocks: 4, bytes: file.bytes.length }]]),
    ...changes,
  }
}

function round(changes: Partial<Round> = {}): Round {
  return { client: 'the client', fetched: [fetched()], peers: [edge], ...changes }
}

test('content is the same for the same seed only', () => {
  expect(seededFile('x', 1, 1000).bytes).toEqual(seededFile('y', 1, 1000).bytes)
  expect(seededFile('x', 1, 1000).bytes).not.toEqual(seededFile('x', 2, 1000).bytes)
})

test('what came as it was sent is right, however it is cut', async () => {
  expect(
    await compare(
      file,
      changed((bytes) => bytes),
    ),
  ).toEqual({ right: true, bytes: 600 * 1024 })
})

test.each([0, 99_999, 100_000, 600 * 1024 - 1])('a wrong byte at %i is found', async (offset) => {
  const comparison = await compare(file, changed(flipped(offset)))
  expect(comparison).toMatchObject({ right: false, fault: `byte ${offset} is wrong` })
})

test('bytes that are missing or too many are found', async () => {
  const short = await compare(
    file,
    changed((bytes) => bytes.subarray(1)),
  )
  expect(short.right).toBe(false)
  const cut = await compare(
    file,
    changed((bytes) => bytes.subarray(0, -1)),
  )
  expect(cut).toMatchObject({ right: false, fault: 'only 614399 of its 614400 bytes came' })
  const long = await compare(
    file,
    changed((bytes) => Buffer.concat([bytes, Buffer.of(0)])),
  )
  expect(long).toMatchObject({ right: false, fault: 'more than its 614400 bytes came' })
})

test('the verdict is right only if all bytes were and came by way of the edge alone', () => {
  expect(judge([round(), round()], edge)).toEqual({
    right: true,
    sentences: ['Every byte was right: 1.2 MiB in 2 fetches, compared with the originals.'],
  })
  const tampered = fetched({ comparison: { right: false, bytes: 7, fault: 'byte 7 is wrong' } })
  const wrong = judge([round(), round({ client: 'the second client', fetched: [tampered] })], edge)
  expect(wrong).toEqual({
    right: false,
    sentences: ['film.bin did not reach the second client intact: byte 7 is wrong.'],
  })
  for (const peers of [[], [edge, 'other'], ['other']]) {
    expect(judge([round({ peers })], edge).right).toBe(false)
  }
  expect(judge([], edge).right).toBe(false)
})

test('a client that is given wrong bytes is told apart from one that is not', async () => {
  const text = textFile('hello.txt', 'hello')
  const place = (each: DemoFile): Placed => ({ file: each, cid: each.name, holder: 'backend B' })
  let blocks = 0
  const figures = async (): Promise<Figures> => new Map([['backend B', { blocks: blocks++, bytes: blocks }]])
  const contents: Record<string, Uint8Array> = {
    'film.bin': flipped(5)(file.bytes),
    'hello.txt': text.bytes,
  }
  const client = {
    async *fetch(cid: string) {
      yield contents[cid] ?? new Uint8Array()
    },
  }
  const all = await fetchAll([place(file), place(text)], { client, figures }, AbortSignal.timeout(5000))
  expect(all.map(({ comparison }) => comparison.right)).toEqual([false, true])
  expect(all.map(({ from }) => from.get('backend B')?.blocks)).toEqual([1, 1])
  expect(judge([round({ fetched: all })], edge).right).toBe(false)
})

test('what was added between two readings counts, and nothing else', () => {
  const before = new Map([['backend A', { blocks: 3, bytes: 30 }]])
  const after = new Map([
    ['backend A', { blocks: 3, bytes: 30 }],
    ['backend B', { blocks: 2, bytes: 20 }],
  ])
  expect(added(before, after)).toEqual(new Map([['backend B', { blocks: 2, bytes: 20 }]]))
  expect(added(after, after).size).toBe(0)
})

test('the table says where a file came from, and does not hide that it is wrong', () => {
  const wrong = fetched({ comparison: { right: false, bytes: 7, fault: 'byte 7 is wrong' }, from: new Map() })
  const [head, first, second] = tableOf([fetched(), wrong]).split('\n')
  expect(head).toMatch(/^ {2}file +size +came from +blocks +time +speed +content$/)
  expect(first).toMatch(/^ {2}film\.bin +600\.0 KiB +backend A +4 +100 ms +6 MiB\/s +right$/)
  expect(second).toMatch(/the edge itself +0 +100 ms +- +WRONG$/)
})

test('a repeat that the backends had to serve is not called cached', () => {
  expect(repeatOf([fetched({ from: new Map() })])).toContain('gave no block')
  expect(repeatOf([fetched()])).toContain('gave 4 blocks')
})

test('sizes and columns are for people', () => {
  expect([28, 2048, 3 * 1024 ** 2].map(formatSize)).toEqual(['28 B', '2.0 KiB', '3.0 MiB'])
  expect(
    columns([
      ['a', 'bbb'],
      ['aaa', 'b'],
    ]),
  ).toBe('  a    bbb\n  aaa  b')
})
