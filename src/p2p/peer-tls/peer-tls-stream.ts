/**
 * TLS on top of a libp2p stream, where there is no socket that the runtime could put it on: the stream as a duplex below
 * TLS, and as a stream of its own above it.
 *
 * Memory: what does not fit into the stream below waits in the duplex, and the stream above is full until it is gone;
 * of what is read, one piece more than Node's streams hold (64 KiB).
 */

import { once } from 'node:events'
import { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { AbortOptions, MessageStream, MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { type Bytes, type MuxedConnection, readBy } from '#src/mux/short-way.ts'
import { SocketWriter } from '#src/p2p/tcp/socket-writer.ts'
import { asError } from '#src/util/errors.ts'

/** Unsent bytes below TLS at which the stream above is full; TLS itself takes whatever it is given. */
const fullAtBytes = 256 * 1024

export interface OverStream {
  /** What TLS is to be put on. */
  readonly duplex: Duplex
  /** Returns the stream above; to be called once, after the handshake. */
  stream(socket: TLSSocket): MessageStream
}

/** Prepares a stream for TLS on top of it; it is read from now on. */
export function overStream(below: MessageStream): OverStream {
  const duplex = new StreamDuplex(below as MuxedConnection)
  return { duplex, stream: (socket) => new TlsStream(below, duplex, socket) }
}

class StreamDuplex extends Duplex {
  readonly #below: MuxedConnection
  /** Goes on writing; set while the stream is full. */
  #waiting: ((error?: Error) => void) | undefined

  constructor(below: MuxedConnection) {
    super({ emitClose: true, autoDestroy: true })
    this.#below = below
    readBy(below, (piece) => {
      if (!this.push(piece) && below.readStatus === 'readable') below.pause()
    })
    // The library's `onDrain` waits no more once it has waited (utils 7.4.1).
    below.addEventListener('drain', () => {
      const done = this.#waiting
      this.#waiting = undefined
      done?.()
    })
    below.addEventListener('remoteCloseWrite', () => this.push(null))
    below.addEventListener('close', ({ error }) => {
      if (error === undefined) this.push(null)
      this.destroy(error)
    })
    // Whoever has TLS on top hears of it there.
    this.on('error', () => {})
  }

  override _read(): void {
    if (this.#below.readStatus === 'paused') this.#below.resume()
  }

  override _write(chunk: Uint8Array, _: string, done: (error?: Error) => void): void {
    this.#send(chunk, done)
  }

  override _writev(chunks: readonly { readonly chunk: Uint8Array }[], done: (error?: Error) => void): void {
    this.#send(new Uint8ArrayList(...chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: (error?: Error) => void): void {
    this.#below.close().then(() => done(), done)
  }

  #send(bytes: Bytes, done: (error?: Error) => void): void {
    try {
      if (this.#below.send(bytes)) done()
      else this.#waiting = done
    } catch (error) {
      done(asError(error))
    }
  }
}

class TlsStream extends AbstractMultiaddrConnection {
  readonly #below: MessageStream
  readonly #duplex: Duplex
  readonly #socket: TLSSocket
  readonly #writer: SocketWriter

  constructor(below: MessageStream, duplex: Duplex, socket: TLSSocket) {
    super({
      remoteAddr: (below as MultiaddrConnection).remoteAddr,
      log: below.log,
      direction: below.direction,
      maxReadBufferLength: below.maxReadBufferLength,
      inactivityTimeout: below.inactivityTimeout,
    })
    this.#below = below
    this.#duplex = duplex
    this.#socket = socket
    this.#writer = new SocketWriter(socket)
    socket.on('data', (bytes) => this.onData(bytes))
    socket.on('drain', () => this.#drained())
    duplex.on('drain', () => this.#drained())
    socket.on('error', (error) => this.abort(error))
    socket.once('end', () => this.onTransportClosed())
    socket.once('close', () => this.onTransportClosed())
    below.addEventListener('close', ({ error }) => this.onTransportClosed(error))
  }

  override sendData(data: Bytes): SendResult {
    const { sentBytes } = this.#writer.write(data)
    return { sentBytes, canSendMore: !this.#full }
  }

  override sendReset(error: Error): void {
    this.#socket.destroy()
    this.#below.abort(error)
  }

  override sendPause(): void {
    this.#socket.pause()
  }

  override sendResume(): void {
    this.#socket.resume()
  }

  /** What was sent goes through TLS and the duplex, and the stream below is closed behind it. */
  override async sendClose(options?: AbortOptions): Promise<void> {
    if (this.#duplex.destroyed) return
    this.#writer.flush()
    const closed = once(this.#duplex, 'close', options)
    this.#socket.end()
    await closed
  }

  get #full(): boolean {
    return this.#socket.writableNeedDrain || this.#duplex.writableLength >= fullAtBytes
  }

  #drained(): void {
    if (!this.#full) this.safeDispatchEvent('drain')
  }
}
