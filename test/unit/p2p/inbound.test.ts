import { expect, test } from 'bun:test'
import type { Message } from '#src/bitswap/message.ts'
import { Inbound } from '#src/p2p/inbound.ts'
import { encodeWire, frameWire, joinBytes } from '#test/support/wire.ts'
import { FakeStream, until } from '#test/unit/p2p/fake-stream.ts'

interface UnderTest {
  readonly inbound: Inbound
  readonly messages: Message[]
  readonly refusals: string[]
  pauseMs: number
}

function underTest(limits: { maxStreams?: number; maxHeldBytes?: number } = {}): UnderTest {
  const messages: Message[] = []
  const refusals: string[] = []
  const it: UnderTest = {
    messages,
    refusals,
    pauseMs: 0,
    inbound: new Inbound({
      receive: (message) => {
        messages.push(message)
        return it.pauseMs
      },
      refuse: (reason) => refusals.push(reason),
      maxStreams: 4,
      maxHeldBytes: 10_000,
      ...limits,
    }),
  }
  return it
}

const frame = frameWire(encodeWire({ blocks: [new Uint8Array(100)] }))

function open({ inbound }: UnderTest): FakeStream {
  const stream = new FakeStream()
  inbound.add(stream.asStream)
  return stream
}

test('messages come in from every stream, however they are cut', () => {
  const it = underTest()
  const [one, two] = [open(it), open(it)]
  one.receive(frame.subarray(0, 50))
  two.receive(joinBytes([frame, frame]))
  one.receive(frame.subarray(50))
  expect(it.messages.length).toBe(3)
  expect(it.refusals).toEqual([])
})

test('an empty frame is no message', () => {
  const it = underTest()
  open(it).receive(new Uint8Array(3))
  expect([it.messages.length, it.refusals.length]).toEqual([0, 0])
})

test('a stream ends at its first fault, which is counted once, and no other stream with it', () => {
  const it = underTest()
  const [bad, good] = [open(it), open(it)]
  bad.receive(joinBytes([frameWire(Uint8Array.of(0x0b)), frame, frameWire(Uint8Array.of(0x0b))]))
  good.receive(frame)
  expect([it.refusals, it.messages.length]).toEqual([['malformed'], 1])
  expect([bad.status, good.status]).toEqual(['aborted', 'open'])
})

test('a message over the limit ends its stream', () => {
  const it = underTest()
  const stream = open(it)
  stream.receive(Uint8Array.from([0xff, 0xff, 0xff, 0x7f]))
  expect([it.refusals, stream.status]).toEqual([['message-too-big'], 'aborted'])
})

test('what all streams hold of messages that are not whole is bounded, and given back', () => {
  const it = underTest({ maxHeldBytes: 250 })
  const half = frame.subarray(0, 82)
  const streams = [open(it), open(it), open(it), open(it)]
  for (const stream of streams.slice(0, 3)) stream.receive(half)
  expect(it.refusals).toEqual([])
  streams[3]?.receive(half)
  expect(it.refusals).toEqual(['message-too-big'])
  streams[0]?.receive(frame.subarray(82))
  streams[1]?.abort(new Error('gone'))
  const again = [open(it), open(it)]
  for (const stream of again) stream.receive(half)
  expect([it.refusals.length, it.messages.length]).toEqual([1, 1])
})

test('a message that is refused after some of it was held counts no longer', () => {
  const it = underTest()
  const bad = frameWire(new Uint8Array(6_000).fill(0x0b))
  const right = frameWire(encodeWire({ blocks: [new Uint8Array(6_000)] }))
  for (const bytes of [bad, right]) {
    const stream = open(it)
    stream.receive(bytes.subarray(0, 5_900))
    stream.receive(bytes.subarray(5_900))
  }
  expect([it.refusals, it.messages.length]).toEqual([['malformed'], 1])
})

test('the oldest stream makes room for one too many', () => {
  const it = underTest({ maxStreams: 2 })
  const streams = [open(it), open(it), open(it)]
  expect(streams.map((stream) => stream.status)).toEqual(['aborted', 'open', 'open'])
  expect(it.refusals).toEqual(['too-many-streams'])
})

test('a message that was begun and left is given up, a quiet stream is not', () => {
  const it = underTest()
  const [left, quiet] = [open(it), open(it)]
  left.receive(frame.subarray(0, 10))
  quiet.receive(frame)
  it.inbound.sweep(performance.now() + 29_000)
  expect(it.refusals).toEqual([])
  it.inbound.sweep(performance.now() + 31_000)
  expect([left.status, quiet.status, ...it.refusals]).toEqual(['aborted', 'open', 'idle-stream'])
})

test('who sends too fast is not read for a while, on any stream', async () => {
  const it = underTest()
  const [one, two] = [open(it), open(it)]
  it.pauseMs = 20
  one.receive(frame)
  it.pauseMs = 0
  const later = open(it)
  expect([one.readStatus, two.readStatus, later.readStatus]).toEqual(['paused', 'paused', 'paused'])
  await until(() => [one, two, later].every((stream) => stream.readStatus === 'readable'), 'reading goes on')
})

test('the end of a stream is answered with ours', () => {
  const it = underTest()
  const stream = open(it)
  stream.receive(frame)
  stream.endWrite()
  expect([it.messages.length, stream.closes]).toEqual([1, 1])
})

test('closing ends every stream', () => {
  const it = underTest()
  const streams = [open(it), open(it)]
  it.inbound.close()
  expect(streams.map((stream) => stream.status)).toEqual(['aborted', 'aborted'])
})
