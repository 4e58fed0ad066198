import { expect, test } from 'bun:test'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { flagFrame, flags } from '#src/p2p/webrtc/frames.ts'
import type { NativeChannel, NativePeer } from '#src/p2p/webrtc/native.ts'
import { WebRtcConnection } from '#src/p2p/webrtc/webrtc-connection.ts'

/** A data channel whose other side is the test. */
class FakeChannel implements NativeChannel {
  readonly sent: Uint8Array[] = []
  closed = false
  says: (message: Uint8Array) => void = () => {}

  getId = (): number => 1
  isOpen = (): boolean => !this.closed
  bufferedAmount = (): number => 0
  setBufferedAmountLowThreshold(): void {}
  onOpen(): void {}
  onClosed(): void {}
  onError(): void {}
  onBufferedAmountLow(): void {}

  onMessage(callback: (message: Uint8Array) => void): void {
    this.says = callback
  }

  sendMessageBinary(bytes: Uint8Array): boolean {
    this.sent.push(bytes)
    return true
  }

  close(): void {
    this.closed = true
  }
}

/** A connection whose handshake is not over, and how its client opens a stream. */
function connected(): { connection: WebRtcConnection; opens: (channel?: FakeChannel) => FakeChannel } {
  let welcome: (channel: NativeChannel) => void = () => {}
  const peer = {
    close: () => {},
    onDataChannel: (callback: typeof welcome) => {
      welcome = callback
    },
  } as unknown as NativePeer
  const connection = new WebRtcConnection({
    peer,
    remoteAddr: multiaddr('/ip4/192.0.2.1/udp/4003/webrtc-direct'),
    direction: 'inbound',
    log: defaultLogger().forComponent('test'),
  })
  const opens = (channel = new FakeChannel()): FakeChannel => {
    welcome(channel)
    return channel
  }
  return { connection, opens }
}

test('streams that come early are handed on, those that are over by then are not', () => {
  const { connection, opens } = connected()
  for (let i = 0; i < 1_000; i++) opens().says(flagFrame(flags.reset))
  opens()
  const muxer = connection.muxerFactory.createStreamMuxer(connection)
  expect(muxer.streams.map(({ status }) => status)).toEqual(['open'])
  opens()
  expect(muxer.streams.length).toBe(2)
})

test('a stream that closed before it was heard of is none', () => {
  const { connection, opens } = connected()
  const muxer = connection.muxerFactory.createStreamMuxer(connection)
  for (let i = 0; i < 2_000; i++) {
    const channel = new FakeChannel()
    channel.closed = true
    opens(channel)
  }
  expect(muxer.streams).toEqual([])
  opens()
  expect(muxer.streams.length).toBe(1)
})

test('the first two messages of a stream may change places', () => {
  const { connection, opens } = connected()
  const muxer = connection.muxerFactory.createStreamMuxer(connection)
  const channel = opens()
  const [length, body] = [Uint8Array.of(22), Buffer.from('\x12\x14\x13/multistream/1.0.0\n')]
  channel.says(body)
  channel.says(length)
  const [stream] = muxer.streams
  expect([stream?.status, stream?.readBufferLength]).toEqual(['open', 20])
})

test('an end is acknowledged once, however often it is said', () => {
  const { opens } = connected()
  const channel = opens()
  const ends = Buffer.concat(Array(1_000).fill(flagFrame(flags.fin)))
  for (let i = 0; i < 10; i++) channel.says(ends)
  expect(channel.sent).toEqual([flagFrame(flags.finAck)])
})

test('nothing behind a reset counts', () => {
  const { connection, opens } = connected()
  const muxer = connection.muxerFactory.createStreamMuxer(connection)
  const channel = opens()
  let closes = 0
  muxer.streams[0]?.addEventListener('close', () => closes++)
  channel.says(Buffer.concat([flags.reset, flags.reset, flags.fin].map(flagFrame)))
  expect([closes, channel.sent.length, channel.closed]).toEqual([1, 0, true])
})

test('messages that are not whole count as unread', () => {
  const { connection, opens } = connected()
  // A message of 64 KiB is begun on each stream; 1 MiB of such is too much before the peer is known.
  const begun = Buffer.alloc(60 * 1024)
  begun.set([0x80, 0x80, 0x04])
  for (let i = 0; i < 17; i++) opens().says(begun)
  expect(connection.status).toBe('open')
  opens().says(begun)
  expect(connection.status).toBe('aborted')
})
