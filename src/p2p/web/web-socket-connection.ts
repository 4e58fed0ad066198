/**
 * One accepted WebSocket as libp2p's MultiaddrConnection, with backpressure both ways: a full socket makes
 * `send` answer false until its callbacks have emptied it, and a paused connection stops reading from TCP.
 *
 * Unsent bytes are bounded by `fullAtBytes` and one write of the layer above; read bytes by the library's
 * read buffer limit and one WebSocket message.
 */

import {
  AbstractMultiaddrConnection,
  type AbstractMultiaddrConnectionInit,
  type SendResult,
} from '@libp2p/utils'
import type { WebSocket } from 'ws'

/** Unsent bytes at which the writer is told to wait, and at which it is told to go on. */
const fullAtBytes = 1024 * 1024
const drainedAtBytes = 256 * 1024

/**
 * Buffers are joined up to this size: Noise hands over a two-byte length and its frame apart, and copying
 * them costs less than a WebSocket message each, here and in the browser.
 */
const messageBytes = 128 * 1024

type Bytes = Parameters<AbstractMultiaddrConnection['sendData']>[0]

export interface WebSocketConnectionInit extends AbstractMultiaddrConnectionInit {
  readonly socket: WebSocket
}

export class WebSocketConnection extends AbstractMultiaddrConnection {
  readonly #socket: WebSocket
  #unsentBytes = 0
  #full = false

  constructor(init: WebSocketConnectionInit) {
    super(init)
    const { socket } = init
    this.#socket = socket
    socket.binaryType = 'nodebuffer'
    socket.on('message', (message, isBinary) => {
      if (isBinary && message instanceof Uint8Array) this.onData(message)
      else this.abort(new Error('text message on a libp2p WebSocket'))
    })
    // The close event that follows ends the connection; an error without a listener would end the process.
    socket.on('error', (error) => this.log('socket error - %e', error))
    socket.once('close', (code) => {
      if (code === 1006) this.onRemoteReset()
      else this.onTransportClosed()
    })
  }

  override sendData(data: Bytes): SendResult {
    const total = data.byteLength
    for (let from = 0; from < total; from += messageBytes) {
      const message = data.subarray(from, Math.min(total, from + messageBytes))
      const bytes = message.byteLength
      this.#unsentBytes += bytes
      this.#socket.send(message, () => this.#sent(bytes))
    }
    this.#full = this.#unsentBytes >= fullAtBytes
    return { sentBytes: total, canSendMore: !this.#full }
  }

  #sent(bytes: number): void {
    this.#unsentBytes -= bytes
    if (!this.#full || this.#unsentBytes > drainedAtBytes) return
    this.#full = false
    this.safeDispatchEvent('drain')
  }

  override sendReset(): void {
    this.#socket.terminate()
  }

  override async sendClose(): Promise<void> {
    // Not awaited: the closing handshake is as slow as the peer wants, and `ws` ends it by a timer of its own.
    this.#socket.close()
  }

  override sendPause(): void {
    this.#socket.pause()
  }

  override sendResume(): void {
    this.#socket.resume()
  }
}
