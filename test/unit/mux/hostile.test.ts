import { expect, test } from 'bun:test'
import type { Stream } from '@libp2p/interface'
import { YamuxMuxer } from '#src/mux/yamux.ts'
import { flags, frameTypes, writeHeader } from '#src/mux/yamux-frame.ts'
import { type FakeConnection, type Frame, frame, raw, turn } from './fake-connection.ts'
import { kibibyte, muxerOptions } from './muxers.ts'
import { pipe, settle } from './pipe.ts'

const { syn, ack, fin, rst } = flags
const bytes = (length: number): Uint8Array => new Uint8Array(length)
const ofType = (frames: readonly Frame[], type: keyof typeof frameTypes): Frame[] =>
  frames.filter((each) => each.type === frameTypes[type])

/** Expects the connection to have ended, with a reason told to the peer. */
function expectEnded(connection: FakeConnection, reason: number): void {
  expect(connection.status).toBe('aborted')
  expect(connection.takeFrames().at(-1)).toMatchObject({ type: frameTypes.goAway, length: reason })
}

test.each([
  ['an unknown version', Uint8Array.of(1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0), 2],
  ['an unknown type', writeHeader(4, 0, 1, 0), 1],
  ['an unknown type for the session', writeHeader(9, 0, 0, 0), 1],
  ['data for the session', frame('data', 0, 0, bytes(3)), 1],
  ['a window for the session', frame('windowUpdate', syn, 0, 3), 1],
  ['a ping for a stream', frame('ping', syn, 1, 3), 1],
  ['a stream number of ours', frame('windowUpdate', syn, 2, 0), 1],
  ['more than the window in one frame', frame('data', syn, 1, bytes(256 * kibibyte + 1)), 1],
  ['a frame of four gigabytes', frame('data', syn, 1, 2 ** 32 - 1), 1],
])('%s ends the connection', async (_, sent, reason) => {
  const { connection, muxer } = raw()
  connection.onData(frame('windowUpdate', syn, 3))
  connection.onData(sent)
  await turn()
  expect(muxer.status).toBe('closed')
  expect(muxer.streams).toHaveLength(0)
  expectEnded(connection, reason)
})

test('a window is not exceeded by many small frames either, read or not', () => {
  const { connection } = raw()
  connection.onData(frame('data', syn, 1, bytes(200 * kibibyte)))
  for (let sent = 200; sent < 256; sent++) connection.onData(frame('data', 0, 1, bytes(kibibyte)))
  expect(connection.status).toBe('open')
  connection.onData(frame('data', 0, 1, bytes(1)))
  expectEnded(connection, 1)
})

test('streams beyond the limit are reset, and there is room again when others end', async () => {
  const { connection, muxer } = raw({ maxStreams: 10 })
  const streams: Stream[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => streams.push(stream))
  for (let i = 0; i < 10_000; i++) connection.onData(frame('windowUpdate', syn, 2 * i + 1))
  await turn()
  expect(streams).toHaveLength(10)
  expect(muxer.streams).toHaveLength(10)
  const frames = ofType(connection.takeFrames(), 'windowUpdate')
  expect(frames.filter(({ flag }) => flag === rst)).toHaveLength(9_990)
  expect(frames.filter(({ flag }) => flag === ack)).toHaveLength(10)
  streams[0]?.abort(new Error('over'))
  connection.onData(frame('windowUpdate', syn, 30_001))
  expect(streams).toHaveLength(11)
})

test('a refused stream with data takes nothing of what stands behind it', async () => {
  const { connection, muxer } = raw({ maxStreams: 1 })
  const read: string[] = []
  muxer.addEventListener('stream', ({ detail: stream }) =>
    stream.addEventListener('message', ({ data }) => read.push(`${stream.id}:${data.byteLength}`)),
  )
  const sent = [
    frame('data', syn, 1, bytes(5)),
    frame('data', syn, 3, bytes(7)),
    frame('data', 0, 1, bytes(9)),
  ]
  for (const byte of Buffer.concat(sent)) connection.onData(Uint8Array.of(byte))
  expect(read.filter((each) => each.startsWith('3'))).toEqual([])
  expect(read).toHaveLength(14)
})

test('pings are answered; who does not read the answers is not read until it does', async () => {
  const { connection } = raw()
  connection.onData(frame('ping', syn, 0, 77))
  await turn()
  expect(connection.takeFrames()).toMatchObject([{ type: frameTypes.ping, flag: ack, id: 0, length: 77 }])
  connection.capacity = 1
  let pings = 0
  const many = Buffer.concat(Array.from({ length: 100 }, () => frame('ping', syn, 0, 1)))
  for (; connection.readStatus === 'readable' && pings < 100_000; pings += 100) {
    connection.onData(many)
    await Promise.resolve()
  }
  expect(connection.readStatus).toBe('paused')
  expect(connection.writeBufferLength).toBeLessThan(80 * kibibyte)
  // What comes all the same waits unread, and nothing is lost.
  connection.onData(many)
  expect(connection.readBufferLength).toBe(many.length)
  connection.capacity = Number.POSITIVE_INFINITY
  connection.drain()
  await turn()
  expect(connection.readStatus).toBe('readable')
  expect(ofType(connection.takeFrames(), 'ping')).toHaveLength(pings + 100)
})

test('a pong that nobody waits for is of no consequence', () => {
  const { connection } = raw()
  connection.onData(frame('ping', ack, 0, 5))
  expect(connection.status).toBe('open')
})

test('unread bytes of all streams stop the connection, and it goes on when half is read', async () => {
  const { connection, muxer } = raw({ maxUnreadBytes: 300 * kibibyte })
  const streams: Stream[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => streams.push(stream))
  for (const id of [1, 3, 5]) connection.onData(frame('data', syn, id, bytes(100 * kibibyte)))
  expect(connection.readStatus).toBe('readable')
  connection.onData(frame('data', syn, 7, bytes(1)))
  expect(connection.readStatus).toBe('paused')
  const read = (stream: Stream | undefined): Promise<void> => {
    stream?.addEventListener('message', () => {})
    return turn()
  }
  await read(streams[0])
  expect(connection.readStatus).toBe('paused')
  // What a stream that is given up held is not unread any more either.
  streams[1]?.abort(new Error('over'))
  await turn()
  expect(connection.readStatus).toBe('readable')
  await read(streams[2])
  await read(streams[3])
  // Nothing was counted twice: as much as before fits in again.
  connection.onData(frame('data', syn, 9, bytes(150 * kibibyte)))
  connection.onData(frame('data', syn, 11, bytes(150 * kibibyte)))
  expect(connection.readStatus).toBe('readable')
  connection.onData(frame('data', syn, 13, bytes(1)))
  expect(connection.readStatus).toBe('paused')
})

test('frames for streams that are over, or never were, are passed over with their bodies', async () => {
  const { connection, muxer } = raw()
  const heard: string[] = []
  muxer.addEventListener('stream', ({ detail: stream }) =>
    stream.addEventListener('message', ({ data }) => heard.push(`${stream.id}:${data.byteLength}`)),
  )
  connection.onData(frame('data', syn, 1, bytes(10)))
  connection.onData(frame('windowUpdate', rst, 1))
  for (const flag of [0, fin, rst]) {
    connection.onData(frame('data', flag, 1, bytes(1_000)))
    connection.onData(frame('windowUpdate', flag, 99, 5))
  }
  connection.onData(frame('data', syn, 3, bytes(20)))
  await turn()
  expect(heard).toEqual(['1:10', '3:20'])
  expect(connection.status).toBe('open')
})

test('a number that was used is free again when its stream is over', () => {
  const { connection, muxer } = raw()
  let opened = 0
  muxer.addEventListener('stream', () => opened++)
  for (let turns = 0; turns < 3; turns++) {
    connection.onData(frame('windowUpdate', syn, 1))
    // A second SYN is none.
    connection.onData(frame('windowUpdate', syn, 1))
    connection.onData(frame('windowUpdate', rst, 1))
  }
  expect(opened).toBe(3)
})

test('FIN and RST cross with our own', async () => {
  const { connection, muxer } = raw()
  const streams: Stream[] = []
  const ends: string[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => {
    streams.push(stream)
    stream.addEventListener('close', ({ error }) =>
      ends.push(`${stream.id}:${stream.status}:${error?.name ?? ''}`),
    )
  })
  for (const id of [1, 3, 5, 7]) connection.onData(frame('windowUpdate', syn, id))
  await turn()
  connection.takeFrames()
  const [closed, aborted, reset, finished] = streams
  closed?.close()
  connection.onData(frame('windowUpdate', fin, 1))
  aborted?.abort(new Error('over'))
  connection.onData(frame('windowUpdate', rst, 3))
  connection.onData(frame('windowUpdate', fin | rst, 5))
  reset?.abort(new Error('too late'))
  await reset?.close()
  connection.onData(frame('data', fin, 7, bytes(0)))
  finished?.close()
  await turn()
  expect(ends.sort()).toEqual(['1:closed:', '3:aborted:Error', '5:reset:StreamResetError', '7:closed:'])
  const flagsSent = connection.takeFrames().map(({ id, flag }) => `${id}:${flag}`)
  expect(flagsSent.sort()).toEqual([`1:${fin}`, `3:${rst}`, `7:${fin}`])
})

test('what was sent before a reset is still there to be read; nothing comes after an abort', async () => {
  const { connection, muxer } = raw()
  const streams: Stream[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => streams.push(stream))
  connection.onData(Buffer.concat([frame('data', syn, 1, bytes(9)), frame('windowUpdate', rst, 1)]))
  connection.onData(frame('data', syn, 3, bytes(9)))
  const heard: string[] = []
  streams[1]?.abort(new Error('over'))
  for (const stream of streams) stream.addEventListener('message', () => heard.push(stream.id))
  connection.onData(frame('data', 0, 3, bytes(9)))
  await turn()
  expect(heard).toEqual(['1'])
})

test('who goes away in peace gets no new streams and ends those it has; any other reason ends them', async () => {
  const { connection, muxer } = raw()
  const stream = await muxer.createStream()
  connection.onData(frame('goAway', 0, 0, 0))
  expect(muxer.createStream()).rejects.toThrow('no new streams')
  expect(stream.status).toBe('open')
  connection.onData(frame('data', 0, 2, bytes(5)))
  await stream.close()
  connection.onData(frame('windowUpdate', fin, 2))
  expect(stream.status).toBe('closed')
  connection.onData(frame('goAway', 0, 0, 1))
  expect(connection.status).toBe('aborted')
})

test('streams beyond what we may open are not opened', async () => {
  const { muxer } = raw({ maxStreams: 2 })
  const [first] = [await muxer.createStream(), await muxer.createStream()]
  expect(muxer.createStream()).rejects.toThrow('too many streams')
  first?.abort(new Error('over'))
  expect((await muxer.createStream()).id).toBe('6')
})

test('two ends that both have much to say at once do not wait for each other', async () => {
  const ends = pipe(1_000)
  const muxers = ends.map((end) => new YamuxMuxer(end, muxerOptions))
  for (let i = 0; i < 10_000; i++) for (const muxer of muxers) muxer.ping()
  await settle(...ends)
  expect(ends.map(({ readStatus, underWay }) => `${readStatus} ${underWay}`)).toEqual([
    'readable 0',
    'readable 0',
  ])
})
