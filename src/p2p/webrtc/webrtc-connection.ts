/**
 * One WebRTC connection after its DTLS handshake: libp2p's MultiaddrConnection, and its muxer, which WebRTC is by
 * itself: every data channel is a stream.
 *
 * Memory: `maxStreams` streams, and what they hold unread. Nothing can keep the peer from sending, so a connection that
 * holds more than `maxUnreadBytes` ends; before its peer is known that is `maxEarlyBytes`, in `maxEarlyStreams`.
 */

import type { MultiaddrConnection, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import {
  AbstractMultiaddrConnection,
  type AbstractMultiaddrConnectionInit,
  AbstractStreamMuxer,
} from '@libp2p/utils'
import type { ChannelOptions, NativeChannel, NativePeer } from '#src/p2p/webrtc/native.ts'
import { WebRtcStream } from '#src/p2p/webrtc/webrtc-stream.ts'

const maxStreams = 1_024
const maxUnreadBytes = 16 * 1024 * 1024
const maxEarlyStreams = 256
const maxEarlyBytes = 1024 * 1024

export interface WebRtcConnectionInit extends AbstractMultiaddrConnectionInit {
  readonly peer: NativePeer
}

export class WebRtcConnection extends AbstractMultiaddrConnection {
  readonly #peer: NativePeer
  readonly #streams = new Set<WebRtcStream>()
  #muxer: WebRtcMuxer | undefined
  #unreadBytes = 0

  constructor(init: WebRtcConnectionInit) {
    super(init)
    this.#peer = init.peer
    init.peer.onDataChannel((channel) => this.#welcome(channel))
  }

  /** Makes its muxer. */
  get muxerFactory(): StreamMuxerFactory {
    const protocol = '/webrtc'
    const createStreamMuxer = (): StreamMuxer => {
      const muxer = new WebRtcMuxer(this, protocol, maxEarlyStreams)
      this.#muxer = muxer
      for (const stream of this.#streams) if (stream.direction === 'inbound') muxer.onRemoteStream(stream)
      return muxer as unknown as StreamMuxer
    }
    return { protocol, createStreamMuxer }
  }

  /** Opens a stream. */
  openStream(options?: ChannelOptions): WebRtcStream {
    return this.#stream(this.#peer.createDataChannel('', options ?? {}), 'outbound')
  }

  override sendData(): never {
    throw new Error('what WebRTC sends, it sends on streams')
  }

  override sendReset(): void {
    this.#peer.close()
  }

  override async sendClose(): Promise<void> {
    this.#peer.close()
  }

  override sendPause(): void {}

  override sendResume(): void {}

  #welcome(channel: NativeChannel): void {
    const full = this.#muxer === undefined ? maxEarlyStreams : maxStreams
    if (this.status !== 'open' || this.#streams.size >= full) return closed(channel)
    const stream = this.#stream(channel, 'inbound')
    // One that closed before it had its handlers tells them nothing.
    if (!channel.isOpen()) return stream.onTransportClosed()
    this.#muxer?.onRemoteStream(stream)
  }

  #stream(channel: NativeChannel, direction: 'inbound' | 'outbound'): WebRtcStream {
    const stream = new WebRtcStream({
      channel,
      direction,
      log: this.log,
      held: (bytes) => this.#hold(bytes),
    })
    this.#streams.add(stream)
    stream.addEventListener('close', () => this.#streams.delete(stream), { once: true })
    return stream
  }

  #hold(bytes: number): void {
    this.#unreadBytes += bytes
    const most = this.#muxer === undefined ? maxEarlyBytes : maxUnreadBytes
    if (this.#unreadBytes > most) this.abort(new Error('more was sent than is read'))
  }
}

class WebRtcMuxer extends AbstractStreamMuxer<WebRtcStream> {
  readonly #connection: WebRtcConnection

  constructor(connection: WebRtcConnection, protocol: string, maxEarlyStreams: number) {
    super(connection as MultiaddrConnection, { name: 'webrtc', protocol, maxEarlyStreams })
    this.#connection = connection
  }

  override onCreateStream(): WebRtcStream {
    return this.#connection.openStream()
  }

  override onData(): void {}
}

function closed(channel: NativeChannel): void {
  try {
    channel.close()
  } catch {
    // It was closed from the other side.
  }
}
