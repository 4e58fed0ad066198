import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { dataFrame, flagFrame, flags } from '#src/p2p/webrtc/frames.ts'
import { Opening } from '#src/p2p/webrtc/opening.ts'

const whole = (text: string | Uint8Array): Uint8Array => Buffer.concat(dataFrame(Buffer.from(text)))
/** As js-libp2p sends: the length by itself. */
const parted = (text: string): [Uint8Array, Uint8Array] => {
  const frame = whole(text)
  return [frame.subarray(0, 1), frame.subarray(1)]
}
const greeting = '\x13/multistream/1.0.0\n\x14/ipfs/bitswap/1.2.0\n'

/** What comes of messages that come in this order, and what is held then. */
function read(messages: readonly Uint8Array[]): { read: string; held: number; over: boolean } {
  const opening = new Opening()
  const through = messages.flatMap((message) => opening.push(message))
  return {
    read: Buffer.concat(through).toString('hex'),
    held: opening.heldBytes,
    over: opening.over,
  }
}

const inOrder = (messages: readonly Uint8Array[]) => ({
  read: Buffer.concat(messages).toString('hex'),
  held: 0,
  over: true,
})

describe('the first two messages, the second before the first', () => {
  const [length, body] = parted(greeting)
  const more = [whole('want'), whole('more'), flagFrame(flags.fin)]
  const at = (order: readonly number[], messages: readonly Uint8Array[]) =>
    order.map((i) => messages[i] as Uint8Array)

  for (const [name, messages] of [
    ['a length and its message', [length, body, ...more]],
    ['whole messages', [whole(greeting), ...more]],
    ['two with their lengths', [length, body, ...parted('want'), ...more]],
    ['greeting and protocol apart', [...parted('\x13/multistream/1.0.0\n'), ...parted('\x03/x\n'), ...more]],
  ] as const) {
    test(name, () => {
      const rest = messages.map((_, i) => i).slice(3)
      for (const order of [
        [0, 1, 2],
        [1, 0, 2],
        [1, 2, 0],
      ]) {
        expect(read(at([...order, ...rest], messages))).toEqual(inOrder(messages))
      }
    })
  }

  test('a message between a length and what it is the length of', () => {
    const messages = [length, body, ...parted('want'), ...more]
    expect(read(at([0, 2, 1, 3, 4, 5, 6], messages))).toEqual(inOrder(messages))
  })
})

test('what comes in order is never held, however it is cut', () => {
  const cut = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 200 })
  const texts = fc.array(fc.string({ maxLength: 100 }), { maxLength: 5 })
  const begins = fc.constantFrom(greeting, '\x13/multistream/1.0.0\n', '\x13/mul', '')
  fc.assert(
    fc.property(cut, begins, texts, (sizes, first, rest) => {
      const all = Buffer.concat([first, ...rest].map(whole))
      const opening = new Opening()
      for (let from = 0, i = 0; from < all.length; i++) {
        const piece = all.subarray(from, from + (sizes[i % sizes.length] as number))
        from += piece.length
        expect(opening.push(piece)).toEqual([piece])
      }
      expect(opening.heldBytes).toBe(0)
    }),
  )
})

test('a flag that is all there is comes through', () => {
  for (const flag of Object.values(flags)) expect(read([flagFrame(flag)])).toEqual(inOrder([flagFrame(flag)]))
})

test('what begins no stream is held up to eight messages or 64 KiB, then let through as it came', () => {
  const odd = Array.from({ length: 10 }, (_, i) => whole(`odd ${i}`))
  expect(read(odd.slice(0, 7))).toMatchObject({ read: '', over: false })
  expect(read(odd)).toEqual(inOrder(odd))
  const large = [whole(new Uint8Array(60_000)), whole(new Uint8Array(10_000))]
  expect(read(large.slice(0, 1)).held).toBeGreaterThan(60_000)
  expect(read(large)).toEqual(inOrder(large))
})
