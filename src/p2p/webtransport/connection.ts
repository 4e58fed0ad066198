/**
 * A WebTransport session as libp2p's connection with its muxer in one: a session has streams by itself, and nothing
 * else is ever sent on it.
 *
 * Invariant: the first stream that the client opens is for Noise, all others are libp2p's. Memory: 256 streams of the
 * client, as QUIC lets it have, with `maxUnreadBytes` unread together and what was under way by then; streams of ours
 * up to `maxStreams`.
 */

import {
  MuxerClosedError,
  type Stream,
  type StreamMuxer,
  TooManyOutboundProtocolStreamsError,
} from '@libp2p/interface'
import {
  AbstractMultiaddrConnection,
  type AbstractMultiaddrConnectionInit,
  AbstractStreamMuxer,
  type SendResult,
} from '@libp2p/utils'
import type { H3Session, SessionSink } from '#src/p2p/webtransport/h3-session.ts'
import { type StreamOwner, WebTransportStream } from '#src/p2p/webtransport/stream.ts'

export interface WebTransportConnectionInit extends AbstractMultiaddrConnectionInit {
  readonly session: H3Session
  /** Streams of ours at a time. */
  readonly maxStreams: number
}

/** Unread bytes of all streams at which none of them is read any further. */
const maxUnreadBytes = 4 * 1024 * 1024

export const webTransportProtocol = '/webtransport'

export class WebTransportConnection extends AbstractMultiaddrConnection implements StreamOwner, SessionSink {
  readonly session: H3Session
  readonly maxStreams: number
  readonly #first = Promise.withResolvers<WebTransportStream>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #streams = new Set<WebTransportStream>()
  /** Open ones that nobody has taken yet. */
  readonly #early = new Set<WebTransportStream>()
  #muxer: WebTransportMuxer | undefined
  #hasFirst = false
  #heldBytes = 0
  #isFull = false

  constructor(init: WebTransportConnectionInit) {
    super(init)
    this.session = init.session
    this.maxStreams = init.maxStreams
    // Whoever waits for it hears of it; nobody may.
    this.#first.promise.catch(() => {})
    this.session.tell(this)
  }

  get isFull(): boolean {
    return this.#isFull
  }

  /** Resolves with the stream for the handshake; rejects when the session ends before it comes. */
  firstStream(): Promise<Stream> {
    return this.#first.promise
  }

  /** Returns the streams that have come so far, and hands those that come from now on to the muxer. */
  muxedBy(muxer: WebTransportMuxer): WebTransportStream[] {
    this.#muxer = muxer
    const early = [...this.#early]
    this.#early.clear()
    return early
  }

  /** Opens a stream of ours. */
  async openStream(): Promise<WebTransportStream> {
    const opened = Promise.withResolvers<WebTransportStream>()
    await this.session.openStream((id) => {
      const stream = this.#add(id, 'outbound')
      opened.resolve(stream)
      return stream
    })
    return opened.promise
  }

  // What the session tells.

  stream(id: number): WebTransportStream {
    const stream = this.#add(id, 'inbound')
    if (!this.#hasFirst) {
      this.#hasFirst = true
      this.#first.resolve(stream)
    } else if (this.#muxer === undefined) {
      this.#early.add(stream)
    } else {
      this.#muxer.onRemoteStream(stream)
    }
    return stream
  }

  closed(): void {
    this.#first.reject(new Error('the session ended before its handshake'))
    this.#ended.resolve()
    for (const stream of [...this.#streams]) stream.onTransportClosed()
    this.onTransportClosed()
  }

  // What its streams tell.

  held(bytes: number): void {
    this.#heldBytes += bytes
    const isFull = this.#heldBytes > (this.#isFull ? maxUnreadBytes / 2 : maxUnreadBytes)
    if (isFull === this.#isFull) return
    this.#isFull = isFull
    for (const stream of this.#streams) stream.throttle()
  }

  // What the library asks for.

  override sendData(): SendResult {
    throw new Error('a WebTransport session carries streams only')
  }

  override async sendClose(options?: { readonly signal?: AbortSignal }): Promise<void> {
    this.session.close()
    const { signal } = options ?? {}
    const aborted = Promise.withResolvers<void>()
    signal?.addEventListener('abort', () => aborted.resolve(), { once: true })
    await Promise.race([this.#ended.promise, aborted.promise])
  }

  override sendReset(): void {
    this.#first.reject(new Error('the session was given up'))
    this.session.close(1)
  }

  override sendPause(): void {}

  override sendResume(): void {}

  #add(id: number, direction: 'inbound' | 'outbound'): WebTransportStream {
    const log = this.log.newScope(`stream:${id}`)
    const stream = new WebTransportStream({ id, direction, log }, this)
    this.#streams.add(stream)
    const gone = (): void => {
      this.#streams.delete(stream)
      this.#early.delete(stream)
    }
    stream.addEventListener('close', gone, { once: true })
    return stream
  }
}

export class WebTransportMuxer extends AbstractStreamMuxer<WebTransportStream> implements StreamMuxer {
  readonly #connection: WebTransportConnection
  #outbound = 0

  constructor(connection: WebTransportConnection) {
    // QUIC bounds the streams that the client opens.
    super(connection, {
      protocol: webTransportProtocol,
      name: 'webtransport',
      maxEarlyStreams: Number.MAX_SAFE_INTEGER,
    })
    this.#connection = connection
    for (const stream of connection.muxedBy(this)) this.onRemoteStream(stream)
  }

  override async onCreateStream(): Promise<WebTransportStream> {
    if (this.#outbound >= this.#connection.maxStreams) {
      throw new TooManyOutboundProtocolStreamsError('too many streams on one connection')
    }
    this.#outbound++
    try {
      const stream = await this.#connection.openStream()
      stream.addEventListener('close', () => this.#outbound--, { once: true })
      if (this.status === 'open') return stream
      stream.abort(new MuxerClosedError())
    } catch (error) {
      this.#outbound--
      throw error
    }
    throw new MuxerClosedError()
  }

  override onData(): void {}
}
