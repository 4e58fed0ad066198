import { expect, test } from 'bun:test'
import type { Stream } from '@libp2p/interface'
import { flags, frameTypes, headerBytes } from '#src/mux/yamux-frame.ts'
import { frame, framesOf, raw, turn } from './fake-connection.ts'
import { kibibyte } from './muxers.ts'

const { syn, ack, fin } = flags

test('small frames of one turn leave together, in order; the first carries the SYN', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  void muxer.createStream()
  const stream = muxer.streams[0] as Stream
  for (let i = 0; i < 5; i++) stream.send(Uint8Array.of(i))
  void stream.close()
  muxer.ping()
  expect(connection.sent).toHaveLength(0)
  await turn()
  expect(connection.sent).toHaveLength(1)
  expect(connection.takeFrames().map(({ type, flag, body }) => [type, flag, ...body])).toEqual([
    [frameTypes.data, syn, 0],
    ...[1, 2, 3, 4].map((i) => [frameTypes.data, 0, i]),
    [frameTypes.windowUpdate, fin],
    [frameTypes.ping, syn],
  ])
})

test('a stream on which nothing is sent is opened all the same, and accepted', async () => {
  const dialler = raw({}, 'outbound')
  await dialler.muxer.createStream()
  await turn()
  expect(dialler.connection.takeFrames()).toMatchObject([
    { type: frameTypes.windowUpdate, flag: syn, id: 1, length: 0 },
  ])
  const listener = raw()
  listener.connection.onData(frame('windowUpdate', syn, 1))
  await turn()
  expect(listener.connection.takeFrames()).toMatchObject([
    { type: frameTypes.windowUpdate, flag: ack, id: 1, length: 0 },
  ])
})

test('what is large leaves at once and takes along what waits', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const [first, second] = [await muxer.createStream(), await muxer.createStream()]
  await turn()
  connection.takeFrames()
  first.send(Uint8Array.of(1))
  second.send(new Uint8Array(4 * kibibyte))
  expect(connection.sent).toHaveLength(1)
  expect(connection.takeFrames().map(({ id, length }) => [id, length])).toEqual([
    [1, 1],
    [3, 4 * kibibyte],
  ])
})

test('many small frames do not wait for the end of the turn', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  await turn()
  connection.takeFrames()
  for (let i = 0; i < 1_000; i++) stream.send(Uint8Array.of(i))
  expect(framesOf(connection.sent).length).toBeGreaterThan(850)
  expect(Math.max(...connection.sent.map(({ length }) => length))).toBeLessThan(300 * (headerBytes + 1))
  await turn()
  expect(framesOf(connection.sent)).toHaveLength(1_000)
})

test('no frame is larger than one of Noise, and none is sent beyond the window', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  expect(stream.send(new Uint8Array(300 * kibibyte))).toBe(false)
  await turn()
  const sizes = connection.takeFrames().map(({ length }) => length)
  expect(sizes.reduce((sum, size) => sum + size)).toBe(256 * kibibyte)
  expect(Math.max(...sizes)).toBe(65_519 - headerBytes)
  let drains = 0
  stream.addEventListener('drain', () => drains++)
  // The connection has room again: of no use without a window.
  connection.drain()
  connection.onData(frame('windowUpdate', 0, 1, 0))
  expect(drains).toBe(0)
  connection.onData(frame('windowUpdate', ack, 1, 10 * kibibyte))
  expect([drains, stream.writeBufferLength]).toEqual([0, 34 * kibibyte])
  connection.onData(frame('windowUpdate', 0, 1, 100 * kibibyte))
  expect([drains, stream.writeBufferLength]).toEqual([1, 0])
  await turn()
  expect(connection.takeFrames().map(({ length }) => length)).toEqual([10 * kibibyte, 34 * kibibyte])
})

test('a grant is of no use to who waits for the connection', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  await turn()
  connection.capacity = 10 * kibibyte
  expect(stream.send(new Uint8Array(20 * kibibyte))).toBe(false)
  expect(stream.send(new Uint8Array(kibibyte))).toBe(false)
  let drains = 0
  stream.addEventListener('drain', () => drains++)
  connection.onData(frame('windowUpdate', 0, 1, kibibyte))
  expect([drains, stream.writeBufferLength]).toEqual([0, kibibyte])
  connection.drain()
  expect([drains, stream.writeBufferLength]).toEqual([1, 0])
})

test('what a stream still has to say leaves before its end', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  stream.send(new Uint8Array(257 * kibibyte))
  const closed = stream.close()
  await turn()
  expect(connection.takeFrames().some(({ flag }) => (flag & fin) !== 0)).toBe(false)
  connection.onData(frame('windowUpdate', 0, 1, 2 * kibibyte))
  await closed
  await turn()
  expect(connection.takeFrames().map(({ type, flag, length }) => [type, flag, length])).toEqual([
    [frameTypes.data, 0, kibibyte],
    [frameTypes.windowUpdate, fin, 0],
  ])
})

test('streams wait while the connection is full, and all go on', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const streams = await Promise.all([1, 2, 3].map(() => muxer.createStream()))
  await turn()
  connection.capacity = 10 * kibibyte
  const first = streams[0]
  expect(first?.send(new Uint8Array(20 * kibibyte))).toBe(false)
  expect(streams.map((stream) => stream.send(Uint8Array.of(1)))).toEqual([false, false, false])
  let drained = 0
  for (const stream of streams) stream.addEventListener('drain', () => drained++)
  connection.takeFrames()
  connection.drain()
  await turn()
  expect(drained).toBe(3)
  expect(connection.takeFrames().map(({ id }) => id)).toEqual([1, 3, 5])
})

test('on a closed connection nothing is sent, and nothing throws', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  connection.takeFrames()
  stream.send(Uint8Array.of(1))
  connection.onTransportClosed()
  expect(stream.status).toBe('closed')
  expect(() => stream.send(Uint8Array.of(1))).toThrow('closed')
  muxer.ping()
  await muxer.close()
  await turn()
  expect(connection.sent).toHaveLength(0)
})
