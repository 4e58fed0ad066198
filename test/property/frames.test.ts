import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { FrameReader } from '#src/p2p/frames.ts'
import { expectHeld, split } from '#test/support/cuts.ts'
import { frameWire, joinBytes } from '#test/support/wire.ts'

const messages = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 100, max: 20_000 }).map((n) => new Uint8Array(n).fill(n)),
  ),
  { maxLength: 8 },
)
const cuts = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 30 })

test('any split of a stream gives the same messages', () => {
  fc.assert(
    fc.property(messages, cuts, (list, lengths) => {
      const reader = new FrameReader(100_000)
      const seen: Uint8Array[] = []
      const pieces = split(joinBytes([new Uint8Array(0), ...list.map(frameWire)]), lengths)
      for (const piece of pieces) expect(reader.push(piece, (frame) => seen.push(frame.slice()))).toBe(true)
      expect(seen.length).toBe(list.length)
      for (const [n, message] of list.entries())
        expect(Buffer.compare(seen[n] as Uint8Array, message)).toBe(0)
      expect([reader.held, reader.partial]).toEqual([0, false])
    }),
    { numRuns: 200 },
  )
})

test('what is held is what came of the message that is not whole', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50_000 }), cuts, fc.nat(), (length, lengths, until) => {
      expectHeld(new FrameReader(100_000), new Uint8Array(length), lengths, until)
    }),
    { numRuns: 200 },
  )
})

test('random bytes give messages or an end, and never more than the largest message is held', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 30 }), (pieces) => {
      const reader = new FrameReader(200)
      for (const piece of pieces) {
        const goesOn = reader.push(piece, (frame) => expect(frame.length).toBeLessThanOrEqual(200))
        expect(reader.held).toBeLessThanOrEqual(200)
        if (!goesOn) break
      }
    }),
    { numRuns: 500 },
  )
})
