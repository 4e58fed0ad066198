import { expect, test } from 'bun:test'
import { defaultLogger } from '@libp2p/logger'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { type Bytes, readShort, sendShort } from '#src/mux/short-way.ts'
import { eachPiece } from '#src/util/pieces.ts'

const log = defaultLogger().forComponent('test')

/** A stream of the library that takes as many bytes as there is room for. */
class Plain extends AbstractMessageStream {
  readonly read: number[] = []
  readonly sent: number[] = []
  readonly events: string[] = []
  room = 0

  constructor() {
    super({ log, direction: 'inbound', maxReadBufferLength: Number.MAX_SAFE_INTEGER })
    for (const name of ['drain', 'end', 'remoteCloseWrite', 'close'] as const) {
      this.addEventListener(name, () => this.events.push(name))
    }
  }

  get unsent(): Uint8ArrayList {
    return this.writeBuffer
  }

  take(bytes: Uint8Array): void {
    this.read.push(...bytes)
    // A reader may pause within what it reads.
    if (bytes[0] !== undefined && bytes[0] % 16 === 0 && this.readStatus === 'readable') this.pause()
  }

  override sendData(bytes: Bytes): SendResult {
    const sentBytes = Math.min(bytes.byteLength, this.room)
    this.sent.push(...bytes.slice(0, sentBytes))
    this.room -= sentBytes
    return { sentBytes, canSendMore: this.room > 0 }
  }

  override sendReset(): void {}
  override sendPause(): void {}
  override sendResume(): void {}
  override async close(): Promise<void> {}
}

function long(): Plain {
  const stream = new Plain()
  stream.addEventListener('message', ({ data }) => eachPiece(data, (bytes) => stream.take(bytes)))
  return stream
}

function short(): Plain {
  const stream = long()
  readShort(stream, (bytes) => stream.take(bytes))
  sendShort(stream)
  return stream
}

const pieces = fc.array(fc.uint8Array({ minLength: 0, maxLength: 6 }), { minLength: 1, maxLength: 3 })
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('receive' as const, 'send' as const), pieces }),
  fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const, 'turn' as const) }),
  fc.record({ kind: fc.constant('room' as const), bytes: fc.nat({ max: 20 }) }),
  fc.record({ kind: fc.constant('unshift' as const), pieces }),
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('fin' as const, 'reset' as const) }) },
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function list(pieces: readonly Uint8Array[]): Bytes {
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : new Uint8ArrayList(...pieces)
}

function apply(stream: Plain, each: Step): unknown {
  const reads = stream.readStatus !== 'closed' && stream.readStatus !== 'closing'
  // Nothing comes after a FIN: the muxer sees to that.
  if (each.kind === 'receive') stream.remoteWriteStatus === 'writable' && stream.onData(list(each.pieces))
  else if (each.kind === 'send') return stream.writeStatus === 'writable' && stream.send(list(each.pieces))
  else if (each.kind === 'pause') reads && stream.pause()
  else if (each.kind === 'resume') reads && stream.resume()
  else if (each.kind === 'unshift') reads && stream.unshift(list(each.pieces))
  else if (each.kind === 'fin') stream.onRemoteCloseWrite()
  else if (each.kind === 'reset') stream.status === 'open' && stream.onRemoteReset()
  else if (each.kind === 'room' && each.bytes > 0) {
    stream.room += each.bytes
    if (stream.writableNeedsDrain) stream.safeDispatchEvent('drain')
  }
  return undefined
}

test('what is sent while something is being sent waits for its turn', () => {
  for (const stream of [long(), short()]) {
    stream.room = 100
    const sendData = stream.sendData.bind(stream)
    let within = false
    stream.sendData = (bytes) => {
      const half = bytes.byteLength / 2
      sendData(bytes.slice(0, half))
      if (!within) {
        within = true
        expect(stream.send(Uint8Array.of(5, 6))).toBe(true)
      }
      const { canSendMore } = sendData(bytes.slice(half))
      return { sentBytes: bytes.byteLength, canSendMore }
    }
    expect(stream.send(Uint8Array.of(1, 2, 3, 4))).toBe(true)
    expect(stream.sent).toEqual([1, 2, 3, 4, 5, 6])
  }
})

test('the short way reads, sends, and tells the same as the long way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const ways = [long(), short()] as const
      for (const each of steps) {
        const [one, other] = ways.map((stream) => apply(stream, each))
        expect(other).toEqual(one)
        if (each.kind === 'turn') await new Promise((resolve) => setTimeout(resolve))
        const [told, shortly] = ways.map((stream) => ({
          read: stream.read,
          sent: stream.sent,
          events: stream.events,
          unread: stream.readBufferLength,
          unsent: stream.writeBufferLength,
          full: stream.writableNeedsDrain,
          statuses: [stream.status, stream.readStatus, stream.writeStatus, stream.readableEnded],
        }))
        expect(shortly).toEqual(told as NonNullable<typeof told>)
      }
    }),
    { numRuns: 200 },
  )
})

test('a little that has to wait keeps nothing of what has left; much is not copied', () => {
  for (const [left, copied] of [
    [50, true],
    [10_000, false],
  ] as const) {
    const stream = new Plain()
    sendShort(stream)
    stream.room = 100_000 - left
    const bytes = new Uint8Array(100_000).map((_, i) => i)
    expect(stream.send(new Uint8ArrayList(bytes.subarray(0, 10), bytes.subarray(10)))).toBe(false)
    const [waiting] = [...stream.unsent]
    expect(waiting).toEqual(bytes.subarray(-left))
    expect(waiting?.buffer === bytes.buffer).toBe(!copied)
  }
})
