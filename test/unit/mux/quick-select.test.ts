import { expect, test } from 'bun:test'
import type { Stream } from '@libp2p/interface'
import { readBy } from '#src/mux/short-way.ts'
import type { YamuxMuxer } from '#src/mux/yamux.ts'
import { flags, frameTypes } from '#src/mux/yamux-frame.ts'
import { type FakeConnection, frame, raw, turn } from './fake-connection.ts'

const { syn, ack, fin, rst } = flags

function line(text: string): Buffer {
  return Buffer.from(`${String.fromCharCode(text.length + 1)}${text}\n`, 'latin1')
}

const greeting = line('/multistream/1.0.0')
const protocol = '/ipfs/bitswap/1.2.0'
const asked = Buffer.concat([greeting, line(protocol)])
const message = Buffer.from('what follows at once')

interface Scene {
  readonly connection: FakeConnection
  readonly muxer: YamuxMuxer
  /** What was read on streams that were accepted at once, and on those that the library got. */
  readonly quick: string[]
  readonly library: string[]
  readonly streams: Stream[]
}

function scene(): Scene {
  const { connection, muxer } = raw()
  const quick: string[] = []
  const library: string[] = []
  const streams: Stream[] = []
  muxer.serve([protocol, '/ipfs/bitswap/1.1.0'], (stream) => {
    streams.push(stream)
    const at = quick.push(`${stream.protocol} `) - 1
    readBy(stream, (bytes) => {
      quick[at] += Buffer.from(bytes).toString('latin1')
    })
  })
  muxer.addEventListener('stream', ({ detail: stream }) => {
    streams.push(stream)
    const at = library.push('') - 1
    stream.addEventListener('message', ({ data }) => {
      library[at] += Buffer.from(data.subarray()).toString('latin1')
    })
  })
  return { connection, muxer, quick, library, streams }
}

/** What was answered, the frames of one stream joined. */
function answers(connection: FakeConnection): string {
  const data = connection.takeFrames().filter(({ type }) => type === frameTypes.data)
  return Buffer.concat(data.map(({ body }) => body)).toString('latin1')
}

test('a stream that asks for what is served is answered and handed over, with what stands behind', async () => {
  const { connection, quick, library, muxer } = scene()
  connection.onData(frame('data', syn | fin, 1, Buffer.concat([asked, message])))
  await turn()
  expect(quick).toEqual([`${protocol} ${message}`])
  expect(library).toEqual([])
  const sent = connection.takeFrames()
  expect(sent).toMatchObject([{ type: frameTypes.data, flag: ack, id: 1 }])
  expect(sent[0]?.body).toEqual(asked)
  expect(muxer.streams.map(({ remoteWriteStatus }) => remoteWriteStatus)).toEqual(['closed'])
})

test('the first frame decides, however the connection is cut', async () => {
  const sent = Buffer.concat([
    frame('windowUpdate', syn, 1),
    frame('data', 0, 1, Buffer.concat([asked, message])),
    frame('data', 0, 1, message),
  ])
  for (let at = 0; at <= sent.length; at++) {
    const { connection, quick, library } = scene()
    connection.onData(sent.subarray(0, at))
    connection.onData(sent.subarray(at))
    await turn()
    expect(quick).toEqual([`${protocol} ${message}${message}`])
    expect(library).toEqual([])
    expect(answers(connection)).toBe(asked.toString('latin1'))
  }
})

test('a negotiation in several frames is the library’s, wherever it is cut, with nothing lost', async () => {
  const whole = Buffer.concat([asked, message])
  for (let at = 0; at < asked.length; at++) {
    const { connection, quick, library } = scene()
    connection.onData(frame('data', syn, 1, whole.subarray(0, at)))
    connection.onData(frame('data', 0, 1, whole.subarray(at)))
    await turn()
    expect(quick).toEqual([])
    expect(library).toEqual([whole.toString('latin1')])
    expect(answers(connection)).toBe('')
  }
})

test.each([
  ['another protocol', Buffer.concat([greeting, line('/ipfs/id/1.0.0')])],
  ['a protocol that is served, and then some', Buffer.concat([greeting, line(`${protocol}/more`)])],
  ['a shorter one', Buffer.concat([greeting, line('/ipfs/bitswap')])],
  ['what is served without a line feed', Buffer.concat([greeting, Buffer.from(`\u0013${protocol}`)])],
  ['a list', Buffer.concat([greeting, line('ls')])],
  ['an old greeting', Buffer.concat([line('/multistream/0.9.0'), line(protocol)])],
  ['a name of two length bytes', Buffer.concat([greeting, Buffer.from([0x80, 0x01]), Buffer.alloc(128, 97)])],
  ['an empty name', Buffer.concat([greeting, Buffer.from([0])])],
  ['no negotiation', message],
  ['one byte', Buffer.from([0x13])],
])('%s is the library’s', async (_, said) => {
  const { connection, quick, library } = scene()
  connection.onData(frame('data', syn, 1, said))
  await turn()
  expect(quick).toEqual([])
  expect(library).toEqual([said.toString('latin1')])
  expect(answers(connection)).toBe('')
})

test('the library gets a stream that it was given once, and lists it once', async () => {
  const { connection, muxer, library } = scene()
  connection.onData(frame('data', syn, 1, line('/other')))
  expect(muxer.streams).toHaveLength(1)
  expect(library).toHaveLength(1)
  connection.onData(frame('windowUpdate', rst, 1))
  expect(muxer.streams).toHaveLength(0)
})

test('streams that came before anybody served are the library’s', async () => {
  const { connection, muxer } = raw()
  connection.onData(frame('windowUpdate', syn, 1))
  const quick: Stream[] = []
  muxer.serve([protocol], (stream) => quick.push(stream))
  connection.onData(frame('data', 0, 1, asked))
  const library: Stream[] = []
  muxer.addEventListener('stream', ({ detail }) => library.push(detail))
  await turn()
  expect(quick).toHaveLength(0)
  expect(library).toHaveLength(1)
})

test('a stream that says nothing is reset in time; one that said something is not', async () => {
  const { connection, muxer, streams } = scene()
  connection.onData(frame('windowUpdate', syn, 1))
  connection.onData(frame('windowUpdate', syn | fin, 3))
  connection.onData(frame('data', syn, 5, asked))
  connection.onData(frame('data', syn, 7, line('/other')))
  connection.onData(frame('windowUpdate', syn, 9))
  connection.onData(frame('windowUpdate', rst, 9))
  await turn()
  connection.takeFrames()
  const openedMs = performance.now()
  muxer.dropSilent(openedMs - 10_000)
  expect(muxer.streams).toHaveLength(4)
  muxer.dropSilent(openedMs + 1)
  await turn()
  expect(connection.takeFrames().map(({ id, flag }) => [id, flag])).toEqual([
    [1, rst],
    [3, rst],
  ])
  expect(streams.map(({ status }) => status)).toEqual(['open', 'open'])
  expect(muxer.streams.map(({ id }) => id)).toEqual(['5', '7'])
})

test('a stream that is reset, or whose connection ends, before it said anything is forgotten', async () => {
  const { connection, muxer, quick, library } = scene()
  connection.onData(frame('windowUpdate', syn, 1))
  connection.onData(frame('windowUpdate', syn, 3))
  connection.onData(frame('windowUpdate', rst, 1))
  expect(muxer.streams.map(({ id }) => id)).toEqual(['3'])
  connection.onTransportClosed()
  expect(muxer.streams).toEqual([])
  expect([...quick, ...library]).toEqual([])
})

/** How much of a first frame was read when the answer left, if that is within the read of the frame. */
function readWhenAnswered(frameBytes: number): number | undefined {
  const { connection, muxer } = raw({ firstWindow: 1024 * 1024 })
  let answeredAt: number | undefined
  let flushes = 0
  Object.assign(connection, { flush: () => flushes++ })
  muxer.serve([protocol], (stream) => {
    let read = 0
    readBy(stream, (bytes) => {
      if (connection.sent.length > 0 && flushes > 0) answeredAt ??= read
      read += bytes.length
    })
  })
  const more = Buffer.alloc(frameBytes - asked.length)
  connection.onData(frame('data', syn, 1, Buffer.concat([asked, more])))
  return answeredAt
}

test('who says much at once is answered before it is read, down to the socket; others at the end of the turn', () => {
  expect(readWhenAnswered(64 * 1024)).toBe(0)
  expect(readWhenAnswered(32 * 1024)).toBeUndefined()
})
