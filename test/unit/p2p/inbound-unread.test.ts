import { expect, test } from 'bun:test'
import { streamPair } from '@libp2p/utils'
import type { Message } from '#src/bitswap/message.ts'
import { Inbound } from '#src/p2p/inbound.ts'
import { encodeWire, frameWire } from '#test/support/wire.ts'
import { until } from '#test/unit/p2p/fake-stream.ts'

/** With the library's own streams: what a client sent before it closed its side is read, however late. */
const frame = frameWire(encodeWire({ blocks: [new Uint8Array(100)] }))

test.each([
  ['that came before the pause', false],
  ['that came during the pause', true],
] as const)(
  'a message on a stream %s is read when reading goes on, though its sender has closed it',
  async (_, late) => {
    const messages: Message[] = []
    let pauseMs = 50
    const inbound = new Inbound({
      receive: (message) => {
        messages.push(message)
        const now = pauseMs
        pauseMs = 0
        return now
      },
      refuse: () => {},
      maxStreams: 4,
      maxHeldBytes: 10_000,
    })
    const [fast, fastAtEdge] = await streamPair()
    const [quiet, quietAtEdge] = await streamPair()
    inbound.add(fastAtEdge)
    if (!late) inbound.add(quietAtEdge)
    // The first message pauses every stream of the client; the second is under way by then.
    fast.send(frame)
    await until(() => messages.length === 1, 'the first message')
    if (late) inbound.add(quietAtEdge)
    expect(quietAtEdge.readStatus).toBe('paused')
    quiet.send(frame)
    await quiet.close()
    await until(() => messages.length === 2, 'the message of the paused stream')
    await until(() => quietAtEdge.status === 'closed', 'the end of the stream is answered')
    inbound.close()
  },
)
