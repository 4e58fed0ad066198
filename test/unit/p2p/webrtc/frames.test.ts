import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import {
  dataFrame,
  FrameReader,
  flagFrame,
  flags,
  maxDataBytes,
  maxMessageBytes,
} from '#src/p2p/webrtc/frames.ts'

test.each([0, 1, 126, 127, 128, 2_000, 2_048, 5_000, maxDataBytes])(
  '%p bytes come out as they went in, however they are cut',
  (length) => {
    const data = randomBytes(length)
    const sent = Buffer.concat([...dataFrame(data), flagFrame(flags.fin)])
    for (const cut of [1, 2, 3, 100, 4_096, sent.length]) {
      const reader = new FrameReader()
      const read = []
      for (let at = 0; at < sent.length; at += cut) read.push(...reader.push(sent.subarray(at, at + cut)))
      expect(read).toHaveLength(2)
      expect(Buffer.from(read[0]?.data ?? []).equals(data)).toBe(true)
      expect(read[1]).toEqual({ flag: flags.fin, data: undefined })
    }
  },
)

test('no message is larger than go-libp2p takes, and a length that it could lose goes alone', () => {
  const pieces = dataFrame(new Uint8Array(maxDataBytes))
  expect(Buffer.concat(pieces).length).toBeLessThanOrEqual(maxMessageBytes)
  expect(pieces.map(({ length }) => length)).toEqual([2, Buffer.concat(pieces).length - 2])
  expect(dataFrame(new Uint8Array(2_000))).toHaveLength(1)
})

test('fields that nobody knows are passed over', () => {
  const unknown = Buffer.from([0x18, 0x05, 0x22, 0x02, 0xaa, 0xbb])
  const inner = Buffer.concat([unknown, Buffer.from([0x08, 0x01])])
  expect(new FrameReader().push(Buffer.concat([Buffer.from([inner.length]), inner]))).toEqual([
    { flag: flags.stopSending, data: undefined },
  ])
})

test.each([
  ['a length without end', 'ffffffff'],
  ['a length beyond what is taken', 'ffff7f'],
  ['data longer than its message', '03120900'],
  ['a field cut short', '0112'],
  ['a field of another kind', '020d00'],
])('%s is refused', (_, hex) => {
  expect(() => new FrameReader().push(Buffer.from(hex, 'hex'))).toThrow()
})
