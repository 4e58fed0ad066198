import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { FrameReader, frameTypes, headerBytes, writeHeader } from '#src/mux/yamux-frame.ts'

interface Heard {
  readonly header: readonly number[]
  readonly body: number[]
  ended: boolean
}

/** What a reader tells of bytes that come in pieces. */
function read(pieces: readonly Uint8Array[]): Heard[] {
  const heard: Heard[] = []
  const last = (): Heard => heard.at(-1) as Heard
  const reader = new FrameReader({
    header: (...header) => heard.push({ header, body: [], ended: false }),
    body: (bytes) => {
      if (bytes.length === 0 || last().ended) throw new Error('a body that is none')
      last().body.push(...bytes)
    },
    end: () => {
      if (last().ended) throw new Error('a second end')
      last().ended = true
    },
  })
  for (const piece of pieces) reader.push(piece)
  return heard
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const cuts = [0, ...at.map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, i) => bytes.slice(cuts[i], end))
}

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const bodiless = fc.tuple(fc.constantFrom(1, 2, 3), fc.integer({ min: 0, max: 15 }), uint32, uint32)
const withBody = fc.tuple(fc.integer({ min: 0, max: 15 }), uint32, fc.uint8Array({ maxLength: 40 }))

test('frames are the same however they are cut', () => {
  const frames = fc.array(fc.oneof(bodiless, withBody), { maxLength: 8 })
  fc.assert(
    fc.property(frames, fc.array(fc.nat(), { maxLength: 20 }), (given, cuts) => {
      const expected: Heard[] = []
      const parts: Uint8Array[] = []
      for (const each of given) {
        if (each.length === 4) {
          expected.push({ header: each, body: [], ended: false })
          parts.push(writeHeader(...each))
        } else {
          const [flag, id, body] = each
          expected.push({ header: [frameTypes.data, flag, id, body.length], body: [...body], ended: true })
          parts.push(writeHeader(frameTypes.data, flag, id, body.length), body)
        }
      }
      const all = Buffer.concat(parts)
      expect(read(cut(all, cuts))).toEqual(expected)
      expect(read([...all].map((byte) => Uint8Array.of(byte)))).toEqual(expected)
    }),
  )
})

test('a data frame is the same with every two cuts', () => {
  const body = Uint8Array.of(1, 2, 3, 4, 5)
  const all = Buffer.concat([
    writeHeader(frameTypes.data, 1, 7, 5),
    body,
    writeHeader(frameTypes.ping, 1, 0, 9),
  ])
  const whole = read([all])
  expect(whole.map(({ ended }) => ended)).toEqual([true, false])
  for (let first = 0; first <= all.length; first++) {
    for (let second = first; second <= all.length; second++)
      expect(read(cut(all, [first, second]))).toEqual(whole)
  }
})

test('a body is handed on where it was received, as it comes', () => {
  const received = Buffer.concat([writeHeader(frameTypes.data, 0, 1, 1000), new Uint8Array(600)])
  const bodies: Uint8Array[] = []
  const reader = new FrameReader({ header: () => {}, body: (bytes) => bodies.push(bytes), end: () => {} })
  reader.push(received)
  expect(bodies.map(({ length }) => length)).toEqual([600])
  expect(bodies[0]?.buffer).toBe(received.buffer)
  expect(bodies[0]?.byteOffset).toBe(received.byteOffset + headerBytes)
})

test('another version is no frame, wherever it begins', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 50 }), (version, body) => {
      const wrong = writeHeader(frameTypes.ping, 1, 0, 1)
      wrong[0] = version
      const all = Buffer.concat([writeHeader(frameTypes.data, 0, 1, body.length), body, wrong])
      expect(() => read([all])).toThrow('unknown version')
    }),
  )
})
