import { expect, test } from 'bun:test'
import type { Stream } from '@libp2p/interface'
import fc from 'fast-check'
import { readBy } from '#src/mux/short-way.ts'
import { YamuxMuxer } from '#src/mux/yamux.ts'
import { muxerOptions } from '#test/unit/mux/muxers.ts'
import { type PipeEnd, pipe, settle } from '#test/unit/mux/pipe.ts'

/** One side of one stream: the bytes it sent and read are the numbers from 0, so order and loss show at once. */
class Side {
  readonly stream: Stream
  sent = 0
  read = 0
  fault: string | undefined
  ended = false
  closed = false

  constructor(stream: Stream, short: boolean) {
    this.stream = stream
    stream.addEventListener('end', () => {
      if (this.ended) this.fault = 'two ends'
      this.ended = true
    })
    stream.addEventListener('close', () => {
      if (this.closed) this.fault = 'closed twice'
      this.closed = true
    })
    const take = (bytes: Uint8Array): void => {
      if (this.ended || stream.status === 'aborted') this.fault = 'read after the end'
      for (const byte of bytes) if (byte !== this.read++ % 251) this.fault = `wrong byte at ${this.read - 1}`
    }
    if (short) readBy(stream, take)
    else stream.addEventListener('message', ({ data }) => take(data.subarray()))
  }

  send(length: number): void {
    if (this.stream.writeStatus !== 'writable' || this.stream.writableNeedsDrain) return
    const from = this.sent
    this.sent += length
    this.stream.send(Uint8Array.from({ length }, (_, i) => (from + i) % 251))
  }
}

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const), by: fc.nat({ max: 1 }) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      by: fc.nat({ max: 1 }),
      stream: fc.nat({ max: 5 }),
      length: fc.oneof(
        fc.constantFrom(1, 4096, 65_507, 65_508, 262_144, 300_000),
        fc.integer({ min: 1, max: 20_000 }),
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('pause' as const, 'resume' as const, 'close' as const),
      by: fc.nat({ max: 1 }),
      stream: fc.nat({ max: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('abort' as const),
      by: fc.nat({ max: 1 }),
      stream: fc.nat({ max: 5 }),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      by: fc.nat({ max: 1 }),
      bytes: fc.oneof(fc.constantFrom(1, 11, 12, 13, 100_000), fc.integer({ min: 1, max: 3_000 })),
      turn: fc.boolean(),
    }),
  },
)

function muxerOn(end: PipeEnd, streams: Map<string, Side>, short: boolean): YamuxMuxer {
  const muxer = new YamuxMuxer(end, { ...muxerOptions, maxUnreadBytes: 400_000, maxGrowthBytes: 2 ** 20 })
  muxer.addEventListener('stream', ({ detail: stream }) => streams.set(stream.id, new Side(stream, short)))
  return muxer
}

test('streams carry every byte, in order, however ends pause, close and wait for each other', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { maxLength: 150, size: 'max' }),
      fc.boolean(),
      fc.constantFrom(1, 30_000, 1_000_000),
      async (operations, short, capacity) => {
        const ends = pipe(capacity)
        const sides = [new Map<string, Side>(), new Map<string, Side>()] as const
        const muxers = [muxerOn(ends[0], sides[0], short), muxerOn(ends[1], sides[1], short)] as const
        const aborted = new Set<string>()
        for (const each of operations) {
          const by = each.by as 0 | 1
          if (each.kind === 'open') {
            const stream = await muxers[by].createStream()
            sides[by].set(stream.id, new Side(stream, short))
          } else if (each.kind === 'deliver') {
            ends[by].deliver(each.bytes)
            if (each.turn) await new Promise((resolve) => setImmediate(resolve))
          } else {
            const side = [...sides[by].values()][each.stream]
            if (side === undefined || side.closed) continue
            const { stream } = side
            if (each.kind === 'send') side.send(each.length)
            else if (each.kind === 'pause') stream.readStatus === 'readable' && stream.pause()
            else if (each.kind === 'resume') stream.readStatus === 'paused' && stream.resume()
            else if (each.kind === 'close') stream.close().catch(() => {})
            else {
              aborted.add(stream.id)
              stream.abort(new Error('enough'))
            }
          }
        }
        const all = (): Side[] => [...sides[0].values(), ...sides[1].values()]
        // Paused streams of both sides may hold up both connections: they go on when they are read.
        for (const { stream } of all()) if (stream.readStatus === 'paused') stream.resume()
        await settle(...ends)
        for (const { stream } of all()) stream.close().catch(() => {})
        await settle(...ends)
        expect(ends.map(({ status, readStatus, underWay }) => ({ status, readStatus, underWay }))).toEqual(
          [0, 1].map(() => ({ status: 'open', readStatus: 'readable', underWay: 0 })),
        )
        for (const [by, own] of sides.entries()) {
          for (const [id, side] of own) {
            const peer = sides[1 - by]?.get(id)
            expect(side.fault).toBeUndefined()
            expect(side.closed).toBe(true)
            if (aborted.has(id)) expect(side.read).toBeLessThanOrEqual(peer?.sent ?? 0)
            else
              expect({ ended: side.ended, read: side.read }).toEqual({
                ended: true,
                read: peer?.sent as number,
              })
          }
        }
        for (const muxer of muxers) {
          expect(muxer.streams).toHaveLength(0)
          expect(muxer.allowance.leftBytes).toBe(2 ** 20)
          muxer.abort(new Error('over'))
        }
      },
    ),
    { numRuns: 150 },
  )
})
