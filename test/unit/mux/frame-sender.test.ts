import { expect, test } from 'bun:test'
import type { Stream } from '@libp2p/interface'
import { linger } from '#src/mux/short-way.ts'
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

/** Streams that the peer opened and ended, and that are ended here: each leaves a FIN to be sent. */
function endStreams(count: number) {
  const { connection, muxer } = raw()
  muxer.addEventListener('stream', ({ detail: stream }) => {
    linger(stream)
    stream.addEventListener('remoteCloseWrite', () => void stream.close())
  })
  const ids = Array.from({ length: count }, (_, i) => 2 * i + 1)
  for (const id of ids) connection.onData(frame('windowUpdate', syn, id))
  return { connection, muxer, ids, end: (id: number) => connection.onData(frame('windowUpdate', fin, id)) }
}

test('the end of a stream that nobody waits for leaves with something else', async () => {
  const { connection, muxer, end } = endStreams(2)
  await turn()
  connection.takeFrames()
  end(1)
  end(3)
  await turn()
  expect(connection.takeFrames()).toEqual([])
  muxer.ping()
  await turn()
  expect(connection.takeFrames().map(({ id, flag }) => [id, flag])).toEqual([
    [1, fin],
    [3, fin],
    [0, syn],
  ])
})

test('and is sent alone if nothing else is: soon, or when there are many of them', async () => {
  const { connection, ids, end } = endStreams(17)
  await turn()
  connection.takeFrames()
  for (const id of ids.slice(0, 16)) end(id)
  await turn()
  expect(connection.takeFrames()).toHaveLength(16)
  end(33)
  await turn()
  expect(connection.takeFrames()).toEqual([])
  const deadline = performance.now() + 2_000
  while (connection.sent.length === 0 && performance.now() < deadline) await turn()
  expect(connection.takeFrames()).toMatchObject([{ id: 33, flag: fin }])
})

test('who has sent half of its window hears of the rest before what it sent is looked at', async () => {
  const { connection, muxer } = raw({ firstWindow: 1024 * kibibyte })
  let acceptedAfter = -1
  let read = 0
  muxer.addEventListener('stream', ({ detail: stream }) => {
    stream.addEventListener('message', ({ data }) => {
      read += data.byteLength
      if (connection.sent.length > 0 && acceptedAfter < 0) acceptedAfter = read
    })
  })
  const piece = new Uint8Array(64 * kibibyte)
  const all = [frame('data', syn, 1, piece), ...[1, 2, 3].map(() => frame('data', 0, 1, piece))]
  connection.onData(Buffer.concat(all))
  // With the second frame, half of it, and within the read that brought all four.
  expect(acceptedAfter).toBe(128 * kibibyte)
  expect(connection.takeFrames()).toMatchObject([{ id: 1, flag: ack, length: 768 * kibibyte }])
  await turn()
  expect(connection.takeFrames()).toEqual([])
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
