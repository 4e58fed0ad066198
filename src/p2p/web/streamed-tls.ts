/**
 * TLS over a socket as a plain stream, for one whose bytes were read already: it cannot be handed down to the runtime, which
 * would look for them in the socket itself.
 *
 * Costs twice what TLS below JavaScript does. A client that ends its side has ended the connection, as TLS up to 1.2 has
 * it (RFC 5246, section 7.2.1). Memory: what streams hold until they say that they are full.
 */

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { TLSSocket, type TLSSocketOptions } from 'node:tls'

type Done = (error?: Error | null) => void

export class StreamedTls extends TLSSocket {
  readonly #below: SocketStream

  constructor(socket: Socket, options: TLSSocketOptions) {
    const below = new SocketStream(socket)
    super(below as unknown as Socket, options)
    this.#below = below
  }

  // The runtime passes everything on without asking whether there is room.
  override _write(bytes: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(bytes, encoding, (error) => this.#below.whenThereIsRoom(() => done(error)))
  }
}

class SocketStream extends Duplex {
  readonly #socket: Socket

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) socket.pause()
    })
    socket.once('end', () => this.push(null))
    socket.once('close', () => this.destroy())
  }

  whenThereIsRoom(action: () => void): void {
    if (!this.writableNeedDrain || this.destroyed) {
      action()
      return
    }
    const go = (): void => {
      this.off('drain', go)
      this.off('close', go)
      action()
    }
    this.once('drain', go)
    this.once('close', go)
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#socket.write(bytes, done)
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy()
    done(error)
  }
}
