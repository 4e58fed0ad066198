/**
 * A libp2p host that speaks Bitswap by hand: what the raw client and the rogue backend of the tests are made of.
 */
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import type { Connection, PrivateKey, Stream } from '@libp2p/interface'
import { mplex } from '@libp2p/mplex'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { createLibp2p, type Libp2p, type Libp2pInit } from 'libp2p'
import { decodeMessage, type Message } from '#src/bitswap/message.ts'
import { maxMessageBytes, protocols } from '#src/bitswap/protocol.ts'
import { readBy } from '#src/mux/short-way.ts'
import { FrameReader } from '#src/p2p/frames.ts'
import { nativeNoise } from '#src/p2p/noise/noise.ts'

/** How a host is made. */
export interface BitswapHostOptions {
  readonly privateKey?: PrivateKey
  /** Default: none, it only dials. */
  readonly listen?: readonly string[]
  /** Default: all four. */
  readonly protocols?: readonly string[]
  readonly muxer?: 'yamux' | 'mplex'
  /** Takes each message of each stream that a peer opened. */
  readonly receive: (message: Message, connection: Connection, stream: Stream) => void
  /** Streams that peers open are left unread. */
  readonly deaf?: boolean
  /** Where it dials from over tcp. */
  readonly localAddress?: string
  /** Default: tcp and ws. */
  readonly transports?: NonNullable<Libp2pInit['transports']>
}

/** Starts a host that answers identify, ping and Bitswap. */
export async function startBitswapHost(options: BitswapHostOptions): Promise<Libp2p> {
  const muxer = options.muxer === 'mplex' ? mplex({ disconnectThreshold: 1e9 } as object) : yamux()
  const node = await createLibp2p({
    ...(options.privateKey && { privateKey: options.privateKey }),
    addresses: { listen: [...(options.listen ?? [])] },
    transports: options.transports ?? [
      tcp({ dialOpts: { localAddress: options.localAddress } as object }),
      webSockets(),
    ],
    connectionEncrypters: [nativeNoise().encrypter],
    streamMuxers: [muxer],
    connectionMonitor: { enabled: false },
    connectionManager: { maxConnections: 10_000, inboundConnectionThreshold: 10_000, reconnectRetries: 0 },
    connectionGater: { denyDialMultiaddr: () => false },
    services: { identify: identify({ runOnConnectionOpen: false }), ping: ping() },
  })
  await node.handle(
    [...(options.protocols ?? protocols)],
    (stream, connection) => {
      if (options.deaf === true) return stream.pause()
      readMessages(stream, (message) => options.receive(message, connection, stream))
    },
    { maxInboundStreams: 4096, maxOutboundStreams: 4096 },
  )
  return node as unknown as Libp2p
}

/** Calls `receive` with each message of a stream; what is no message makes the test fail. */
function readMessages(stream: Stream, receive: (message: Message) => void): void {
  const frames = new FrameReader(maxMessageBytes)
  readBy(stream, (bytes) => {
    frames.push(bytes, (frame) => {
      const message = decodeMessage(frame)
      if (typeof message === 'string') throw new Error(`a frame that is ${message}`)
      receive(message)
    })
  })
  stream.addEventListener('remoteCloseWrite', () => void stream.close().catch(() => {}), { once: true })
}

/** Writes bytes to a stream in slices, as fast as the other side reads; rejects when the stream breaks. */
export async function writeAll(stream: Stream, bytes: Uint8Array, timeoutMs = 20_000): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs)
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!stream.send(bytes.subarray(at, at + 65_536))) await stream.onDrain({ signal })
  }
}
