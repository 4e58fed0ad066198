import { expect, test } from 'bun:test'
import type { MessageStream } from '@libp2p/interface'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { quickenFrames, takeSealTarget } from '#src/p2p/noise/noise-frames.ts'

const tagBytes = 16

interface Quickened {
  /** The connection below. */
  readonly stream: { onData(bytes: Uint8Array): void }
  /** What was opened by the short way. */
  readonly opened: Uint8ArrayList
  readonly aborted: Error[]
  /** What was written below, write by write. */
  readonly writes: Uint8Array[]
  sendData(message: Uint8Array | Uint8ArrayList): { sentBytes: number; canSendMore: boolean }
  decrypt(frame: Uint8Array): Uint8Array
  decoder: { decode(bytes: Uint8Array | Uint8ArrayList): Iterable<Uint8Array> }
}

/** A cipher that adds one to each byte and has a tag of its frame's number; in place if `inPlace`. */
function stream(inPlace: boolean, seen = new Uint8ArrayList(), room = Infinity): Quickened {
  let sealed = 0
  let frames = 0
  const opened = new Uint8ArrayList()
  const aborted: Error[] = []
  const writes: Uint8Array[] = []
  const send = (bytes: Uint8ArrayList): boolean => writes.push(bytes.slice()) < room
  const open = { readStatus: 'readable', readBuffer: new Uint8ArrayList(), send }
  const below = {
    ...open,
    writeStatus: 'writable',
    writableNeedsDrain: false,
    writeBuffer: new Uint8ArrayList(),
    sendData: (bytes: Uint8ArrayList) => ({ sentBytes: bytes.byteLength, canSendMore: send(bytes) }),
    onData: () => {},
    flush: () => connection.flushed++,
  }
  const connection = {
    ...open,
    flushed: 0,
    stream: below,
    writes,
    opened,
    aborted,
    onData: (bytes: Uint8Array) => opened.append(bytes),
    abort: (error: Error) => aborted.push(error),
    decoder: { buffer: seen, decode: () => [] },
    handshake: {
      encrypt(plain: Uint8Array | Uint8ArrayList): Uint8Array {
        const shifted = plain.subarray().map((byte) => byte + 1)
        const tag = new Uint8Array(tagBytes).fill(sealed++)
        const target = inPlace ? takeSealTarget() : undefined
        const output = target ?? new Uint8Array(plain.byteLength + tagBytes)
        output.set(shifted)
        output.set(tag, plain.byteLength)
        return output
      },
      decrypt(frame: Uint8Array, target: Uint8Array): Uint8Array {
        if (frame.at(-1) !== frames++ % 256) throw new Error('frames out of order')
        for (let i = 0; i < target.length; i++) target[i] = (frame[i] as number) - 1
        return target
      },
    },
  }
  return quickenFrames(connection as unknown as MessageStream) as unknown as Quickened
}

/** What goes over the wire when a message is sent. */
function sealed(sender: Quickened, message: Uint8Array | Uint8ArrayList): Uint8Array {
  sender.sendData(message)
  return Buffer.concat(sender.writes)
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const cuts = [0, ...at.map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, i) => bytes.slice(cuts[i], end))
}

for (const inPlace of [true, false]) {
  test(`any message comes back from any pieces, sealed ${inPlace ? 'in place' : 'elsewhere'}`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200_000 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (length, sendCuts, receiveCuts) => {
          const message = Uint8Array.from({ length }, (_, i) => i * 7)
          const sender = stream(inPlace)
          const receiver = stream(inPlace)
          const wire = sealed(sender, new Uint8ArrayList(...cut(message, sendCuts)))
          expect(wire.length).toBe(length + Math.ceil(length / 65_519) * (2 + tagBytes))
          // Frames are opened in place, and a Buffer's slice is no copy.
          const wire0 = new Uint8Array(wire)
          const received = new Uint8ArrayList()
          for (const piece of cut(wire, receiveCuts)) {
            for (const frame of receiver.decoder.decode(piece)) received.append(receiver.decrypt(frame))
          }
          expect(Buffer.compare(received.subarray(), message)).toBe(0)
          const short = stream(inPlace)
          for (const piece of cut(wire0, receiveCuts)) short.stream.onData(piece)
          expect(Buffer.compare(short.opened.subarray(), message)).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })
}

test('a frame that is shorter than its tag is refused', () => {
  expect(() => [...stream(true).decoder.decode(Uint8Array.of(0, 15, 1, 2))]).toThrow('shorter than its tag')
})

test('what is no frame ends a connection that is read by the short way', () => {
  const receiver = stream(true)
  receiver.stream.onData(Uint8Array.of(0, 15, 1, 2))
  expect(receiver.aborted.map(String)).toEqual(['Error: a Noise frame shorter than its tag'])
})

test('what came before the framing was replaced is not lost, wherever it was cut', () => {
  const message = Uint8Array.from({ length: 600 }, (_, i) => i)
  const sent = sealed(stream(true), message)
  for (let at = 0; at < sent.length; at++) {
    // Frames are opened in place, and a Buffer's slice is no copy.
    const wire = new Uint8Array(sent)
    const receiver = stream(true, new Uint8ArrayList(wire.slice(0, at)))
    const frames = [...receiver.decoder.decode(wire.slice(at))]
    expect(frames.map((frame) => [...receiver.decrypt(frame)])).toEqual([[...message]])
  }
})

test('who hurries a connection hurries the one below', () => {
  const secured = stream(true) as unknown as { flush(): void; flushed: number }
  secured.flush()
  expect(secured.flushed).toBe(1)
})

test('frames that are full leave together, and what fills none by a write of its own', () => {
  const full = 65_519
  for (const [bytes, writes] of [
    [1, [1]],
    [full, [full]],
    [full + 1, [full, 1]],
    [4 * full, [4 * full]],
    [4 * full + 128, [4 * full, 128]],
  ] as const) {
    const message = Uint8Array.from({ length: bytes }, (_, i) => i * 7)
    const sender = stream(true)
    expect(sender.sendData(message)).toEqual({ sentBytes: bytes, canSendMore: true })
    const lengths = writes.map((plain) => plain + Math.ceil(plain / full) * (2 + tagBytes))
    expect(sender.writes.map(({ length }) => length)).toEqual(lengths)
    const receiver = stream(true)
    for (const each of sender.writes) receiver.stream.onData(each)
    expect(Buffer.compare(receiver.opened.subarray(), message)).toBe(0)
  }
  expect(stream(true, new Uint8ArrayList(), 2).sendData(new Uint8Array(2 * full + 1)).canSendMore).toBe(false)
})
