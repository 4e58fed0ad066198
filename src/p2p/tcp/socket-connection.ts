/**
 * The library's TCP connection, so far as its socket is touched here: how it writes, and how it goes on with another
 * socket in place of its own, TLS on top of it.
 *
 * Memory: that of the writer.
 */

import type { Socket } from 'node:net'
import type { AbortOptions } from '@libp2p/interface'
import type { SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { SocketWriter } from '#src/p2p/tcp/socket-writer.ts'

/** What the library's TCP connection is made of, so far as it is touched here (tcp 11.0.28), and ours. */
export interface SocketConnection {
  socket: Socket
  /** What is read and not taken yet. */
  readonly readBufferLength: number
  /** Why TLS was not to be had on it, if it was tried; the connection is dead then. */
  tlsFailed?: Error
  onData(bytes: Uint8Array): void
  onTransportClosed(): void
  safeDispatchEvent(event: 'drain'): void
  abort(error: Error): void
  sendData(bytes: Uint8ArrayList): SendResult
  sendClose(options?: AbortOptions): Promise<void>
  sendReset(): void
  /** Writes now what would wait for the end of the turn; ours has it. */
  flush?: () => void
}

/** Makes every send one write; to be called once per connection. */
export function joinWrites(connection: SocketConnection): void {
  const close = connection.sendClose.bind(connection)
  let written = connection.socket
  let writer = new SocketWriter(written)
  const current = (): SocketWriter => {
    if (written !== connection.socket) {
      written = connection.socket
      writer = new SocketWriter(written)
    }
    return writer
  }
  connection.sendData = (bytes) => current().write(bytes)
  connection.flush = () => current().flush()
  connection.sendClose = (options) => {
    current().flush()
    return close(options)
  }
}

/**
 * Puts TLS in the place of the socket below it: the connection reads, writes and ends by it from now on. What the
 * library hears of the socket below still counts: that has nothing to read any more, and its end is the end of both.
 */
export function replaceSocket(connection: SocketConnection, tls: Socket): void {
  const below = connection.socket
  tls.on('data', (bytes) => connection.onData(bytes))
  tls.on('drain', () => connection.safeDispatchEvent('drain'))
  tls.on('error', (error) => connection.abort(error))
  tls.once('end', () => connection.onTransportClosed())
  tls.once('close', () => connection.onTransportClosed())
  tls.setTimeout(below.timeout ?? 0, () => connection.abort(new Error('a connection without a word')))
  below.setTimeout(0)
  below.once('close', () => tls.destroy())
  connection.socket = tls
  // TLS has no reset of its own.
  connection.sendReset = () => tls.destroy()
}
