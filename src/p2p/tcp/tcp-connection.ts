/**
 * One accepted TCP socket as libp2p's MultiaddrConnection, with backpressure both ways: a full socket makes `send`
 * answer false until it drains, and a paused connection stops reading.
 *
 * A client that ends its side has ended the connection: libp2p has no use for half of one. Unsent bytes are bounded
 * by the socket's buffer and one write of the layer above, read bytes by the library's read buffer limit.
 */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { AbortOptions } from '@libp2p/interface'
import {
  AbstractMultiaddrConnection,
  type AbstractMultiaddrConnectionInit,
  type SendResult,
} from '@libp2p/utils'
import { SocketWriter } from '#src/p2p/tcp/socket-writer.ts'

type Bytes = Parameters<AbstractMultiaddrConnection['sendData']>[0]

export interface TcpConnectionInit extends AbstractMultiaddrConnectionInit {
  readonly socket: Socket
  /** Ends it after this long without a byte in either direction. */
  readonly idleTimeoutMs: number
}

export class TcpConnection extends AbstractMultiaddrConnection {
  #socket: Socket
  #writer: SocketWriter

  constructor(init: TcpConnectionInit) {
    super(init)
    const { socket } = init
    this.#socket = socket
    this.#writer = new SocketWriter(socket)
    socket.on('data', (bytes) => this.onData(bytes))
    socket.on('drain', () => this.safeDispatchEvent('drain'))
    socket.on('error', (error) => this.abort(error))
    socket.once('end', () => this.onTransportClosed())
    socket.once('close', (failed) => {
      if (failed) this.abort(new Error('the TCP connection broke'))
      else this.onTransportClosed()
    })
    socket.setTimeout(init.idleTimeoutMs, () => this.abort(new Error('a TCP connection without a word')))
  }

  /** What it reads and writes by; TLS may take its place (`replaceSocket`). */
  get socket(): Socket {
    return this.#socket
  }

  set socket(above: Socket) {
    this.#socket = above
    this.#writer = new SocketWriter(above)
  }

  override sendData(data: Bytes): SendResult {
    return this.#writer.write(data)
  }

  /** Writes now what would wait for the end of the turn. */
  flush(): void {
    this.#writer.flush()
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    if (this.#socket.destroyed) return
    this.#writer.flush()
    const closed = once(this.#socket, 'close', options)
    this.#socket.destroySoon()
    await closed
  }

  override sendReset(): void {
    // What was ended is being flushed, and cannot be reset any more.
    if (this.#socket.writableEnded) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  override sendPause(): void {
    this.#socket.pause()
  }

  override sendResume(): void {
    this.#socket.resume()
  }
}
