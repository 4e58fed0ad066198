import { expect, test } from 'bun:test'
import { yamux as libraryYamux } from '@chainsafe/libp2p-yamux'
import type { MultiaddrConnection, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { readBy } from '#src/mux/short-way.ts'
import { yamux } from '#src/mux/yamux.ts'
import { mebibyte, muxerOptions } from './muxers.ts'

const total = 16 * mebibyte

type Factory = () => StreamMuxerFactory
const ours: Factory = yamux(muxerOptions)
const library: Factory = libraryYamux() as unknown as Factory

/** A generator that says the same on each run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
}

/** The byte at each place: 251 is no power of two, so a lost or doubled piece of any usual size shows. */
const pattern = Uint8Array.from({ length: 251 * 1024 }, (_, i) => i % 251)

/** Resolves with the next event of that name; rejects if the stream ends before. */
function next<E>(target: EventTarget, name: string): Promise<E> {
  return new Promise((resolve, reject) => {
    target.addEventListener(name, (event) => resolve(event as E), { once: true })
    if (name !== 'close') target.addEventListener('close', () => reject(new Error('closed')), { once: true })
  })
}

/** Sends `total` bytes in pieces of any size, and closes. */
async function sendAll(stream: Stream, random: () => number): Promise<void> {
  for (let sent = 0; sent < total; ) {
    const length = Math.min(total - sent, 1 + Math.floor(random() ** 3 * 200_000))
    const from = sent % 251
    sent += length
    if (!stream.send(pattern.subarray(from, from + length))) await next(stream, 'drain')
  }
  await stream.close()
}

/** Reads to the end, pausing now and then; returns how many bytes came as they should. */
function readAll(stream: Stream, random: () => number): Promise<number> {
  let read = 0
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  readBy(stream, (bytes) => {
    const from = read % 251
    if (
      !Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).equals(
        pattern.subarray(from, from + bytes.length),
      )
    ) {
      reject(new Error(`wrong bytes at ${read}`))
    }
    read += bytes.length
    if (random() > 0.02 || stream.readStatus !== 'readable') return
    stream.pause()
    setTimeout(() => stream.readStatus === 'paused' && stream.resume(), random() * 3)
  })
  stream.addEventListener('end', () => resolve(read), { once: true })
  stream.addEventListener('close', ({ error }) => error && reject(error), { once: true })
  return promise
}

async function streamPair(dialler: StreamMuxer, listener: StreamMuxer): Promise<[Stream, Stream]> {
  const [stream, { detail }] = await Promise.all([
    dialler.createStream(),
    next<CustomEvent<Stream>>(listener, 'stream'),
  ])
  return [stream, detail]
}

test.each([
  ['ours dials the library’s', ours, library],
  ['the library’s dials ours', library, ours],
  ['ours dials ours', ours, ours],
])('%s: 16 MiB each way on each of two streams, with pauses', async (_, diallerOf, listenerOf) => {
  const [outbound, inbound] = multiaddrConnectionPair() as [MultiaddrConnection, MultiaddrConnection]
  const dialler = diallerOf().createStreamMuxer(outbound)
  const listener = listenerOf().createStreamMuxer(inbound)
  const pairs = [await streamPair(dialler, listener), await streamPair(listener, dialler)]
  const ends = pairs.flat()
  const read = await Promise.all([
    ...ends.map((stream, i) => readAll(stream, seeded(i + 1))),
    ...ends.map((stream, i) => sendAll(stream, seeded(i + 10))),
  ])
  expect(read.slice(0, 4)).toEqual([total, total, total, total])
  expect([dialler.streams.length, listener.streams.length]).toEqual([0, 0])
  await dialler.close()
  await listener.close()
})

test('streams that are reset, refused and closed mean the same to the library’s', async () => {
  const [outbound, inbound] = multiaddrConnectionPair() as [MultiaddrConnection, MultiaddrConnection]
  const dialler = library().createStreamMuxer(outbound)
  const listener = yamux({ ...muxerOptions, maxStreams: 2 })().createStreamMuxer(inbound)
  const [aborted, reset] = await streamPair(dialler, listener)
  const told = next(reset, 'close')
  aborted.abort(new Error('over'))
  await told
  expect(reset.status).toBe('reset')
  await streamPair(dialler, listener)
  const [, held] = await streamPair(dialler, listener)
  const refused = await dialler.createStream()
  await next(refused, 'close')
  expect(refused.status).toBe('reset')
  expect(dialler.streams).toHaveLength(2)
  held.abort(new Error('over'))
  await next(dialler.streams[1] as Stream, 'close')
  await streamPair(dialler, listener)
  expect(listener.streams).toHaveLength(2)
  listener.abort(new Error('over'))
  await outbound.close()
})
