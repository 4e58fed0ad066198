import { expect, spyOn, test } from 'bun:test'
import { Outbound } from '#src/p2p/outbound.ts'
import { Resends } from '#src/p2p/resends.ts'
import { FakeStream, until } from '#test/unit/p2p/fake-stream.ts'

interface UnderTest {
  readonly outbound: Outbound
  readonly streams: FakeStream[]
  readonly queue: Uint8Array[][]
  readonly versions: string[]
  readonly stuck: unknown[]
  readonly resends: Resends
  /** What opening a stream does; a new stream as a rule. */
  open: () => Promise<FakeStream>
}

function underTest(protocol?: string): UnderTest {
  const resends = new Resends(1024)
  const it: UnderTest = {
    streams: [],
    queue: [],
    versions: [],
    stuck: [],
    resends,
    open: async () => new FakeStream(protocol),
    outbound: new Outbound({
      open: async () => {
        const stream = await it.open()
        it.streams.push(stream)
        return stream.asStream
      },
      take: (version) => {
        it.versions.push(version)
        return it.queue.shift()
      },
      stuck: (error) => it.stuck.push(error),
      resends,
    }),
  }
  return it
}

/** Has it send a message, and waits until that is on a stream. */
async function send(it: UnderTest, message: Uint8Array[]): Promise<void> {
  const sent = (): number => it.streams.reduce((sum, stream) => sum + stream.sent.length, 0)
  const before = sent()
  it.queue.push(message)
  it.outbound.wake()
  await until(() => sent() === before + 1, 'the message')
}

const one = [Uint8Array.of(1), Uint8Array.of(2)]
const two = [Uint8Array.of(3)]

test('messages go out whole on one stream, and nothing is opened for nothing', async () => {
  const it = underTest('/ipfs/bitswap/1.1.0')
  it.queue.push(one, two)
  it.outbound.wake()
  it.outbound.wake()
  await until(() => it.streams[0]?.sent.length === 2, 'both messages')
  it.queue.push(two)
  it.outbound.wake()
  await until(() => it.streams[0]?.sent.length === 3, 'the third')
  expect(it.streams.length).toBe(1)
  expect(it.streams[0]?.sent.map((bytes) => [...bytes])).toEqual([[1, 2], [3], [3]])
  expect(new Set(it.versions)).toEqual(new Set(['1.1']))
})

test('a full stream is waited for: nothing more is taken meanwhile', async () => {
  const it = underTest()
  const stream = new FakeStream()
  stream.room = false
  it.open = async () => stream
  it.queue.push(one, two)
  it.outbound.wake()
  await until(() => stream.sent.length === 1, 'the first message')
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
  expect([stream.sent.length, it.queue.length]).toEqual([1, 1])
  stream.drain()
  await until(() => stream.sent.length === 2, 'the second')
})

test('a stream that fills again is waited for again', async () => {
  const it = underTest()
  const stream = new FakeStream()
  stream.room = false
  it.open = async () => stream
  it.queue.push(one, two, one)
  it.outbound.wake()
  for (let n = 1; n <= 3; n++) {
    await until(() => stream.sent.length === n, `message ${n}`)
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect(stream.sent.length).toBe(n)
    stream.drain()
    stream.room = false
  }
})

test('a stream that stays full is given up for another, and after some of them the peer', async () => {
  const it = underTest()
  it.open = async () => {
    const stream = new FakeStream()
    stream.room = false
    return stream
  }
  it.queue.push(one)
  it.outbound.wake()
  for (let n = 1; n <= 3; n++) {
    await until(() => it.streams.length === n && it.streams[n - 1]?.sent.length === 1, `stream ${n}`)
    it.outbound.sweep(performance.now() + 119_000)
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect([it.streams.length, it.stuck.length]).toEqual([n, 0])
    it.outbound.sweep(performance.now() + 121_000)
  }
  await until(() => it.stuck.length === 1, 'it is given up')
})

test('a message whose stream broke under it is sent again', async () => {
  const it = underTest()
  const broken = new FakeStream()
  broken.room = false
  const streams = [broken, new FakeStream()]
  it.open = async () => streams.shift() as FakeStream
  it.queue.push(one, two)
  it.outbound.wake()
  await until(() => broken.sent.length === 1, 'the first message')
  broken.abort(new Error('reset'))
  await until(() => it.streams[1]?.sent.length === 2, 'both on the second stream')
  expect(it.streams[1]?.sent.map((bytes) => [...bytes])).toEqual([[1, 2], [3]])
  expect(it.stuck).toEqual([])
})

test('a peer that resets our stream right after a message gets it once more; one that closes it does not', async () => {
  const it = underTest()
  await send(it, one)
  it.streams[0]?.abort(new Error('reset'))
  await until(() => it.streams[1]?.sent.length === 1, 'the copy')
  await it.streams[1]?.close()
  await send(it, two)
  expect(it.streams[2]?.sent.map((bytes) => [...bytes])).toEqual([[3]])
})

test('a message that was read is not kept to be sent again, however late its peer is seen to read', async () => {
  const it = underTest()
  await send(it, one)
  expect(it.resends.bytes).toBe(2)
  it.streams[0]?.onRead?.()
  expect(it.resends.bytes).toBe(0)
  it.streams[0]?.abort(new Error('reset'))
  await send(it, two)
  expect(it.streams[1]?.sent.map((bytes) => [...bytes])).toEqual([[3]])
})

test('nor one that was read while it waited for room, nor those that follow at once', async () => {
  const it = underTest()
  const stream = new FakeStream()
  stream.room = false
  it.open = async () => stream
  await send(it, one)
  stream.onRead?.()
  stream.drain()
  for (let n = 2; n <= 5; n++) {
    await send(it, two)
    expect(stream.sent.length).toBe(n)
    await new Promise((resolve) => setImmediate(resolve))
    expect(it.resends.bytes).toBe(0)
  }
})

test('the first message after a pause is kept again: idle streams are dropped without a word', async () => {
  const it = underTest()
  await send(it, one)
  it.streams[0]?.onRead?.()
  const realNow = performance.now.bind(performance)
  using _later = spyOn(performance, 'now').mockImplementation(() => realNow() + 1_000)
  await send(it, two)
  expect(it.resends.bytes).toBe(1)
  it.streams[0]?.abort(new Error('reset'))
  await until(() => it.streams[1]?.sent.length === 1, 'the copy')
  // The new stream was not seen to be read.
  expect(it.resends.bytes).toBe(1)
})

test('what is read on a stream that was left says nothing of the next one', async () => {
  const it = underTest()
  await send(it, one)
  expect(it.resends.bytes).toBe(2)
  it.outbound.move()
  await send(it, two)
  expect(it.resends.bytes).toBe(1)
  it.streams[0]?.onRead?.()
  expect([it.streams.length, it.resends.bytes]).toEqual([2, 1])
})

test('an idle stream, the end and time let go of what was kept', async () => {
  for (const end of [
    (it: UnderTest) => it.outbound.close(),
    (it: UnderTest) => it.outbound.sweep(performance.now() + 10_000, 5_000),
    (it: UnderTest) => it.resends.sweep(performance.now() + 15_001),
    (it: UnderTest) => void it.streams[0]?.close(),
  ]) {
    const it = underTest()
    await send(it, one)
    expect(it.resends.bytes).toBe(2)
    await new Promise((resolve) => setImmediate(resolve))
    end(it)
    expect(it.resends.bytes).toBe(0)
  }
})

test('a peer to which no stream opens is given up after some tries', async () => {
  const it = underTest()
  let tries = 0
  it.open = async () => {
    tries++
    throw new Error('refused')
  }
  it.queue.push(one)
  it.outbound.wake()
  await until(() => it.stuck.length === 1, 'it is given up')
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
  expect([tries, it.stuck.length]).toEqual([3, 1])
})

test('an idle stream is closed, and a new one opened when there is something again', async () => {
  const it = underTest()
  it.queue.push(one)
  it.outbound.wake()
  await until(() => it.streams[0]?.sent.length === 1, 'the message')
  await until(() => it.versions.length === 2, 'the end of the run')
  await new Promise((resolve) => setImmediate(resolve))
  it.outbound.sweep(performance.now(), 5_000)
  expect(it.streams[0]?.closes).toBe(0)
  it.outbound.sweep(performance.now() + 5_001, 5_000)
  expect(it.streams[0]?.closes).toBe(1)
  it.queue.push(two)
  it.outbound.wake()
  await until(() => it.streams[1]?.sent.length === 1, 'the next message')
  expect(it.streams[1]?.sent.map((bytes) => [...bytes])).toEqual([[3]])
})

/** Streams whose close ends our side alone, as that of a peer which has not read to the end. */
function halfClosing(): FakeStream {
  const stream = new FakeStream()
  stream.close = async () => {
    stream.closes++
  }
  return stream
}

test('it finishes when its peer has read what was sent: that it has left is not enough', async () => {
  const it = underTest()
  it.open = async () => halfClosing()
  await send(it, one)
  let finished = false
  const finishing = it.outbound.finish(5_000).then(() => {
    finished = true
  })
  await until(() => it.streams[0]?.closes === 1, 'the end of our side')
  await new Promise((resolve) => setImmediate(resolve))
  expect([it.streams[0]?.closes, finished]).toEqual([1, false])
  it.streams[0]?.endWrite()
  await finishing
  expect(it.streams[0]?.closes).toBe(1)
})

test('it finishes in time though its peer never says that it has read, and at once where nothing was sent lately', async () => {
  const it = underTest()
  it.open = async () => halfClosing()
  await send(it, one)
  const beganMs = performance.now()
  await it.outbound.finish(50)
  expect(performance.now() - beganMs).toBeGreaterThanOrEqual(45)

  const quiet = underTest()
  quiet.open = async () => halfClosing()
  await send(quiet, one)
  const now = spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000)
  try {
    await quiet.outbound.finish(60_000)
  } finally {
    now.mockRestore()
  }
  expect(quiet.streams[0]?.closes).toBe(1)
})

test('after close nothing is sent', async () => {
  const it = underTest()
  it.queue.push(one)
  it.outbound.wake()
  await until(() => it.streams[0]?.sent.length === 1, 'the message')
  it.outbound.close()
  expect(it.streams[0]?.status).toBe('aborted')
  it.queue.push(two)
  it.outbound.wake()
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
  expect([it.streams.length, it.queue.length]).toEqual([1, 1])
})
