/**
 * One QUIC connection after its handshake: libp2p's MultiaddrConnection, and its muxer, which QUIC is by itself.
 *
 * Memory: the streams that are open, whose number quinn bounds for the peer's and libp2p for ours.
 */

import type { MultiaddrConnection, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import {
  AbstractMultiaddrConnection,
  type AbstractMultiaddrConnectionInit,
  AbstractStreamMuxer,
} from '@libp2p/utils'
import type { NativeConnection, NativeStream } from '#src/p2p/quic/native.ts'
import { QuicStream } from '#src/p2p/quic/quic-stream.ts'

export interface QuicConnectionInit extends AbstractMultiaddrConnectionInit {
  readonly native: NativeConnection
}

export class QuicConnection extends AbstractMultiaddrConnection {
  readonly #native: NativeConnection

  constructor(init: QuicConnectionInit) {
    super(init)
    this.#native = init.native
    void init.native.closed().then(
      () => this.onTransportClosed(),
      () => this.onTransportClosed(),
    )
  }

  override sendData(): never {
    throw new Error('what QUIC sends, it sends on streams')
  }

  override sendReset(): void {
    this.#native.abort()
  }

  override async sendClose(): Promise<void> {
    this.#native.abort()
  }

  override sendPause(): void {}

  override sendResume(): void {}
}

/** Returns what makes the muxer of this one connection. */
export function quicMuxer(native: NativeConnection, maxEarlyStreams: number): StreamMuxerFactory {
  return {
    protocol: '/quic-v1',
    createStreamMuxer: (connection): StreamMuxer =>
      new QuicMuxer(native, connection as MultiaddrConnection, maxEarlyStreams) as unknown as StreamMuxer,
  }
}

class QuicMuxer extends AbstractStreamMuxer<QuicStream> {
  readonly #native: NativeConnection

  constructor(native: NativeConnection, connection: MultiaddrConnection, maxEarlyStreams: number) {
    super(connection, { name: 'quic', protocol: '/quic-v1', maxEarlyStreams })
    this.#native = native
    void this.#accept()
  }

  override async onCreateStream({ signal }: { signal?: AbortSignal }): Promise<QuicStream> {
    const opened = this.#native.outboundStream()
    return this.#stream(await orAborted(opened, signal), 'outbound')
  }

  override onData(): void {}

  async #accept(): Promise<void> {
    // Rejects when the connection ends, which ends the muxer as well.
    for (;;) {
      const native = await this.#native.inboundStream().catch(() => undefined)
      if (native === undefined) return
      const stream = this.#stream(native, 'inbound')
      if (this.status === 'open') this.onRemoteStream(stream)
      else stream.abort(new Error('the connection ends'))
    }
  }

  #stream(native: NativeStream, direction: 'inbound' | 'outbound'): QuicStream {
    return new QuicStream({ native, direction, log: this.log })
  }
}

/** A stream that comes too late is reset. */
async function orAborted(
  opened: Promise<NativeStream>,
  signal: AbortSignal | undefined,
): Promise<NativeStream> {
  if (signal === undefined) return opened
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    opened.then(
      (stream) => {
        signal.removeEventListener('abort', onAbort)
        if (!signal.aborted) return resolve(stream)
        void stream.resetWrite().catch(ignore)
        void stream.stopRead().catch(ignore)
      },
      (error) => {
        signal.removeEventListener('abort', onAbort)
        reject(error)
      },
    )
  })
}

function ignore(): void {}
