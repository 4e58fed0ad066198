import { expect, test } from 'bun:test'
import type { Stream } from '@libp2p/interface'
import { readBy } from '#src/mux/short-way.ts'
import { YamuxMuxer } from '#src/mux/yamux.ts'
import { flags } from '#src/mux/yamux-frame.ts'
import { frame, raw, turn } from './fake-connection.ts'
import { muxerOptions } from './muxers.ts'
import { type PipeEnd, pipe, settle } from './pipe.ts'

const asked = Buffer.from('\u0013/multistream/1.0.0\n\u0009/a/1.0.0\n', 'latin1')

/** Streams seen, by references that keep none of them. */
let seen: WeakRef<object>[] = []

function see(muxer: YamuxMuxer): void {
  for (const stream of muxer.streams) seen.push(new WeakRef(stream))
}

/** Returns how many of the streams seen are still there, and forgets all. */
async function streamsAlive(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await turn()
    Bun.gc(true)
  }
  const alive = seen.filter((each) => each.deref() !== undefined).length
  seen = []
  return alive
}

test('streams are counted while they are there', async () => {
  const { muxer } = raw()
  for (let i = 0; i < 20; i++) await muxer.createStream()
  see(muxer)
  expect(await streamsAlive()).toBe(20)
  expect(muxer.streams).toHaveLength(20)
})

/** Ways in which a stream of a peer comes to its end. */
const ends: readonly ((id: number, stream: () => Stream | undefined) => (Uint8Array | (() => void))[])[] = [
  // Accepted at once; both close.
  (id, stream) => [frame('data', flags.syn | flags.fin, id, asked), () => void stream()?.close()],
  (id, stream) => [
    frame('data', flags.syn, id, asked),
    () => void stream()?.close(),
    frame('windowUpdate', flags.fin, id),
  ],
  (id) => [frame('data', flags.syn, id, asked), frame('windowUpdate', flags.rst, id)],
  (id, stream) => [frame('data', flags.syn, id, asked), () => stream()?.abort(new Error('over'))],
  // For the library.
  (id, stream) => [frame('data', flags.syn, id, new Uint8Array(9)), () => stream()?.abort(new Error('over'))],
  (id) => [frame('data', flags.syn | flags.rst, id, new Uint8Array(9))],
  // Said nothing.
  (id) => [frame('windowUpdate', flags.syn, id), frame('windowUpdate', flags.rst, id)],
  // Unread bytes.
  (id, stream) => [
    frame('data', flags.syn, id, asked),
    () => stream()?.pause(),
    frame('data', 0, id, new Uint8Array(200_000)),
    () => stream()?.abort(new Error('over')),
  ],
]

test('of 10,000 streams of a peer nothing is left', async () => {
  const { connection, muxer } = raw({ maxStreams: 2, maxUnreadBytes: 300_000 })
  connection.sent.push = () => 0
  let last: Stream | undefined
  muxer.serve(['/a/1.0.0'], (stream) => {
    last = stream
    readBy(stream, () => {})
  })
  muxer.addEventListener('stream', ({ detail }) => {
    last = detail
  })
  for (let i = 0; i < 10_000; i++) {
    const id = 2 * i + 1
    for (const step of ends[i % ends.length]?.(id, () => last) ?? []) {
      if (typeof step === 'function') step()
      else connection.onData(step)
      see(muxer)
    }
    // Closing takes a moment. With a limit of two, a third would be refused.
    if (muxer.streams.length > 0) await turn()
    expect(muxer.streams).toHaveLength(0)
    expect(connection.readStatus).toBe('readable')
    if (i % 100 === 0) await turn()
  }
  expect(muxer.allowance.leftBytes).toBe(muxerOptions.maxGrowthBytes)
  last = undefined
  expect(seen.length).toBeGreaterThan(5_000)
  expect(await streamsAlive()).toBeLessThan(3)
  expect(muxer.status).toBe('open')
})

test('of 10,000 streams of ours nothing is left, at either end', async () => {
  const ended = pipe(100_000)
  const [dialled, accepted] = ended.map(
    (end) => new YamuxMuxer(end, { ...muxerOptions, maxStreams: 60 }),
  ) as [YamuxMuxer, YamuxMuxer]
  let read = 0
  accepted.addEventListener('stream', ({ detail: stream }) => {
    readBy(stream, (bytes) => {
      read += bytes.length
    })
    stream.addEventListener('end', () => void stream.close())
  })
  for (let i = 0; i < 200; i++) {
    for (let j = 0; j < 50; j++) {
      const stream = await dialled.createStream()
      seen.push(new WeakRef(stream))
      stream.send(new Uint8Array(100))
      if (j % 10 === 0) stream.abort(new Error('over'))
      else void stream.close()
    }
    see(accepted)
    await settle(...(ended as PipeEnd[]))
    expect([dialled.streams.length, accepted.streams.length]).toEqual([0, 0])
  }
  expect(read).toBe(200 * 50 * 100)
  expect(await streamsAlive()).toBeLessThan(3)
  dialled.abort(new Error('over'))
  accepted.abort(new Error('over'))
})
