import { expect, spyOn, test } from 'bun:test'
import type { Stream } from '@libp2p/interface'
import { heart } from '#src/mux/heart.ts'
import { readBy } from '#src/mux/short-way.ts'
import { YamuxMuxer } from '#src/mux/yamux.ts'
import { flags } from '#src/mux/yamux-frame.ts'
import { FakeConnection, frame, framesOf, raw, turn } from './fake-connection.ts'
import { kibibyte, mebibyte, muxerOptions } from './muxers.ts'

function bytes(length: number, fill = 0): Uint8Array {
  return new Uint8Array(length).fill(fill)
}

test('what is sent while something is being sent leaves behind it', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  await turn()
  connection.takeFrames()
  connection.whileSending = () => {
    connection.whileSending = undefined
    stream.send(bytes(10, 2))
  }
  // More than the window: the rest waits, and so does what was sent behind it.
  stream.send(bytes(300 * kibibyte, 1))
  connection.onData(frame('windowUpdate', 0, 1, mebibyte))
  await turn()
  const sent = Buffer.concat(connection.takeFrames().map(({ body }) => body))
  expect(sent.length).toBe(300 * kibibyte + 10)
  expect(sent.indexOf(2)).toBe(300 * kibibyte)
})

test('who closes while something is being sent has it sent first', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  await turn()
  connection.takeFrames()
  let closed = false
  connection.whileSending = () => {
    connection.whileSending = undefined
    stream.close().then(() => {
      closed = true
    })
  }
  stream.send(bytes(10 * kibibyte))
  await turn()
  expect(closed).toBe(true)
  expect(connection.takeFrames().map(({ flag, length }) => [flag, length])).toEqual([
    [0, 10 * kibibyte],
    [flags.fin, 0],
  ])
})

test('a connection that fails while small frames leave ends its streams and nothing else', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  await turn()
  connection.broken = new Error('no cipher')
  stream.send(bytes(10))
  await turn()
  expect(stream.status).toBe('closed')
  expect(connection.status).toBe('aborted')
})

test('what is accepted and answered on streams that are reset at once is bounded for a peer that does not read', async () => {
  const { connection, muxer } = raw()
  muxer.serve(['/a/1.0.0'], () => {})
  connection.capacity = 1
  const ask = Buffer.from('\u0013/multistream/1.0.0\n\u0009/a/1.0.0\n', 'latin1')
  let opened = 0
  for (let id = 1; id < 100_000 && connection.readStatus === 'readable'; id += 2) {
    connection.onData(
      Buffer.concat([frame('data', flags.syn, id, ask), frame('windowUpdate', flags.rst, id)]),
    )
    await Promise.resolve()
    opened++
  }
  expect(opened).toBeGreaterThan(100)
  expect(connection.readStatus).toBe('paused')
  expect(connection.writeBufferLength).toBeLessThan(128 * kibibyte)
})

test('a reset behind our own abort is no second end of the stream', async () => {
  const { connection, muxer } = raw()
  let closes = 0
  muxer.addEventListener('stream', ({ detail: stream }) => {
    stream.addEventListener('close', () => closes++)
    stream.addEventListener('message', () => stream.abort(new Error('no')))
  })
  connection.onData(frame('data', flags.syn | flags.rst, 1, bytes(10)))
  expect(closes).toBe(1)
  expect(muxer.streams).toHaveLength(0)
})

test('nothing is read on a stream after its end', async () => {
  const { connection, muxer } = raw()
  const heard: string[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => {
    stream.addEventListener('message', ({ data }) => heard.push(`${data.byteLength}`))
    stream.addEventListener('end', () => heard.push('end'))
  })
  connection.onData(frame('data', flags.syn | flags.fin, 1, bytes(10)))
  connection.onData(frame('data', 0, 1, bytes(20)))
  expect(heard).toEqual(['10', 'end'])
  expect(muxer.streams[0]?.status).toBe('open')
  connection.onData(frame('data', flags.rst, 1, bytes(20)))
  expect(muxer.streams).toHaveLength(0)
  expect(heard).toEqual(['10', 'end'])
})

test('what was unread when its reader closed does not hold up the connection', async () => {
  const { connection, muxer } = raw({ maxUnreadBytes: 200 * kibibyte })
  const streams: Stream[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => streams.push(stream))
  connection.onData(frame('data', flags.syn, 1, bytes(250 * kibibyte)))
  expect(connection.readStatus).toBe('paused')
  await streams[0]?.closeRead()
  await turn()
  expect(connection.readStatus).toBe('readable')
})

test('a stream that is not read any more takes what its peer sends all the same', async () => {
  const { connection, muxer } = raw()
  const streams: Stream[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => streams.push(stream))
  connection.onData(frame('data', flags.syn, 1, bytes(10)))
  await streams[0]?.closeRead()
  connection.onData(frame('data', 0, 1, bytes(200 * kibibyte)))
  await turn()
  const granted = connection
    .takeFrames()
    .reduce((sum, { type, length }) => sum + (type === 1 ? length : 0), 0)
  expect(granted).toBeGreaterThan(100 * kibibyte)
})

test('a handler that throws ends its stream, not the connection', async () => {
  const { connection, muxer } = raw()
  muxer.serve(['/a/1.0.0'], () => {
    throw new Error('no')
  })
  connection.onData(
    frame('data', flags.syn, 1, Buffer.from('\u0013/multistream/1.0.0\n\u0009/a/1.0.0\n', 'latin1')),
  )
  await turn()
  expect(muxer.status).toBe('open')
  expect(connection.status).toBe('open')
  expect(muxer.streams).toHaveLength(0)
})

test('a message of very many pieces can be sent', async () => {
  const { Uint8ArrayList } = await import('uint8arraylist')
  const { connection, muxer } = raw({}, 'outbound')
  const stream = await muxer.createStream()
  const list = new Uint8ArrayList()
  list.appendAll(Array.from({ length: 200_000 }, () => bytes(1)))
  stream.send(list)
  await turn()
  expect(framesOf(connection.sent).reduce((sum, { body }) => sum + body.length, 0)).toBe(200_000)
})

test('a stream that another ends within a drain does not keep a third from draining', async () => {
  const { connection, muxer } = raw({}, 'outbound')
  connection.capacity = 1
  const streams = await Promise.all([1, 2, 3].map(() => muxer.createStream()))
  await turn()
  for (const stream of streams) stream.send(bytes(10))
  const drained: number[] = []
  streams.forEach((stream, i) => {
    stream.addEventListener('drain', () => {
      drained.push(i)
      stream.abort(new Error('enough'))
    })
  })
  await turn()
  connection.capacity = mebibyte
  connection.drain()
  expect(drained.sort()).toEqual([0, 1, 2])
})

test('too many early streams end the connection', () => {
  const { connection, muxer } = raw({ maxEarlyStreams: 3 })
  for (let id = 1; id <= 9; id += 2) connection.onData(frame('windowUpdate', flags.syn, id))
  expect(muxer.status).toBe('closed')
  expect(connection.status).toBe('aborted')
})

test('who aborts within what is read hears no more of it', async () => {
  const { connection, muxer } = raw()
  const heard: number[] = []
  muxer.addEventListener('stream', ({ detail: stream }) => {
    queueMicrotask(() =>
      readBy(stream, (piece) => {
        heard.push(piece.length)
        if (heard.length === 2) throw new Error('no')
      }),
    )
  })
  for (const flag of [flags.syn, 0, 0, 0]) connection.onData(frame('data', flag, 1, bytes(5)))
  await turn()
  expect(heard).toEqual([5, 5])
  expect(muxer.streams).toHaveLength(0)
})

test('a muxer leaves the heart with its connection, and does not join it for one that has ended', async () => {
  const joined = spyOn(heart, 'join')
  const left = spyOn(heart, 'leave')
  try {
    const { connection, muxer } = raw()
    expect(joined.mock.calls).toEqual([[muxer]])
    connection.onTransportClosed()
    expect(left.mock.calls).toContainEqual([muxer])
    // Who hangs up while the muxer is negotiated has ended before there is one.
    const ended = new FakeConnection()
    ended.onTransportClosed()
    new YamuxMuxer(ended, muxerOptions)
    expect(joined).toHaveBeenCalledTimes(1)
  } finally {
    joined.mockRestore()
    left.mockRestore()
  }
})

test('what came before there was a muxer is read first', async () => {
  const connection = new FakeConnection()
  const opened: string[] = []
  connection.onData(frame('windowUpdate', flags.syn, 1))
  const muxer = new YamuxMuxer(connection, muxerOptions)
  muxer.addEventListener('stream', ({ detail }) => opened.push(detail.id))
  connection.onData(frame('windowUpdate', flags.syn, 3))
  await turn()
  connection.onData(frame('windowUpdate', flags.syn, 5))
  expect(opened).toEqual(['1', '3', '5'])
})

test('what a stream that was reset leaves unread is not held against the connection', async () => {
  const { connection, muxer } = raw({ maxUnreadBytes: 100 * kibibyte })
  const streams: Stream[] = []
  muxer.addEventListener('stream', ({ detail }) => streams.push(detail))
  for (let id = 1; id < 100; id += 2) {
    connection.onData(frame('data', flags.syn | flags.rst, id, bytes(10 * kibibyte)))
    await turn()
  }
  expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 'reset'))
  expect(streams).toHaveLength(50)
  expect(connection.readStatus).toBe('readable')
})
