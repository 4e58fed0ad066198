import { expect, test } from 'bun:test'
import { yamux as libraryYamux } from '@chainsafe/libp2p-yamux'
import type { Stream, StreamMuxer } from '@libp2p/interface'
import fc from 'fast-check'
import { YamuxMuxer } from '#src/mux/yamux.ts'
import { flags } from '#src/mux/yamux-frame.ts'
import { FakeConnection, frame, turn } from '#test/unit/mux/fake-connection.ts'
import { muxerOptions } from '#test/unit/mux/muxers.ts'

type Factory = { createStreamMuxer(connection: unknown): StreamMuxer }

/** A muxer with the test as its peer, and what its streams tell. */
class Told {
  readonly connection = new FakeConnection()
  readonly muxer: StreamMuxer
  readonly streams: Stream[] = []
  readonly events: string[][] = []

  constructor(muxerOn: (connection: FakeConnection) => StreamMuxer) {
    this.muxer = muxerOn(this.connection)
    this.muxer.addEventListener('stream', ({ detail }) => this.watch(detail))
  }

  watch(stream: Stream): void {
    this.streams.push(stream)
    const events = [stream.direction as string]
    this.events.push(events)
    stream.addEventListener('message', ({ data }) => events.push(`message ${data.byteLength}`))
    // Not `idle`: it is for who waits while something is unsent, and the short way leaves nothing unsent.
    for (const name of ['remoteCloseWrite', 'end'] as const) {
      stream.addEventListener(name, () => events.push(name))
    }
    stream.addEventListener('close', ({ error }) => events.push(`close ${error?.name ?? ''}`))
  }

  get statuses(): unknown[] {
    return this.streams.map((each) => [
      each.status,
      each.readStatus,
      each.writeStatus,
      each.remoteWriteStatus,
      each.readableEnded,
      each.readBufferLength,
      each.writeBufferLength,
    ])
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('syn', 'open', 'transport' as const), stream: fc.constant(0) }),
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...([
          'data',
          'data',
          'data',
          'fin',
          'reset',
          'pause',
          'resume',
          'send',
          'close',
          'closeRead',
          'abort',
        ] as const),
      ),
      stream: fc.nat({ max: 3 }),
    }),
  },
)

async function apply(told: Told, kind: string, at: number, ids: { peers: number }): Promise<void> {
  const { connection, muxer } = told
  if (connection.status !== 'open') return
  if (kind === 'syn') return connection.onData(frame('windowUpdate', flags.syn, ids.peers))
  if (kind === 'open') return told.watch(await muxer.createStream())
  const stream = told.streams[at]
  if (stream === undefined) return
  const id = Number(stream.id)
  const sends = stream.status === 'open' && stream.remoteWriteStatus === 'writable'
  const reads = stream.readStatus === 'readable' || stream.readStatus === 'paused'
  if (kind === 'data') sends && connection.onData(frame('data', 0, id, new Uint8Array(at + 1)))
  else if (kind === 'fin') sends && connection.onData(frame('windowUpdate', flags.fin, id))
  else if (kind === 'reset') connection.onData(frame('windowUpdate', flags.rst, id))
  else if (kind === 'pause') reads && stream.pause()
  else if (kind === 'resume') reads && stream.resume()
  else if (kind === 'send') stream.writeStatus === 'writable' && stream.send(new Uint8Array(3))
  else if (kind === 'close') await stream.close()
  else if (kind === 'closeRead') await stream.closeRead()
  else if (kind === 'abort') stream.abort(new Error('enough'))
}

test('streams tell what the library’s tell, in the same order', async () => {
  const library = libraryYamux({ enableKeepAlive: false })() as unknown as Factory
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const both = [
        new Told((connection) => library.createStreamMuxer(connection)),
        new Told((connection) => new YamuxMuxer(connection, muxerOptions)),
      ] as const
      let peers = 1
      for (const [at, { kind, stream }] of steps.entries()) {
        if (kind === 'transport' && at < steps.length / 2) continue
        for (const told of both) {
          if (kind === 'transport') told.connection.onTransportClosed()
          else await apply(told, kind, stream, { peers })
        }
        await turn()
        if (kind === 'syn') peers += 2
        expect(both[1].events).toEqual(both[0].events)
        expect(both[1].statuses).toEqual(both[0].statuses)
        expect(both[1].muxer.streams.map(({ id }) => id)).toEqual(both[0].muxer.streams.map(({ id }) => id))
      }
      both[1].muxer.abort(new Error('over'))
    }),
    { numRuns: 150 },
  )
})
