/**
 * Whether a connection is read: not while more is unread in its streams than there may be, nor while its peer does not
 * read what it made us answer.
 *
 * Invariant: what was closed opens again, by streams that are read (or end) or by a connection that drains. Memory: two
 * counters.
 */

import type { MuxedConnection } from '#src/mux/short-way.ts'

export class ReadGate {
  readonly #connection: MuxedConnection
  readonly #maxUnreadBytes: number
  #unreadBytes = 0
  #backedUp = false
  #closed = false

  /** At `maxUnreadBytes` it closes, at half of that it opens again. */
  constructor(connection: MuxedConnection, maxUnreadBytes: number) {
    this.#connection = connection
    this.#maxUnreadBytes = maxUnreadBytes
  }

  /** The streams hold so many unread bytes more, or less. */
  held(bytes: number): void {
    this.#unreadBytes += bytes
    this.#turn()
  }

  /** Too many answers wait, or no more. */
  backedUp(isSo: boolean): void {
    this.#backedUp = isSo
    this.#turn()
  }

  #turn(): void {
    const connection = this.#connection
    const most = this.#closed ? this.#maxUnreadBytes / 2 : this.#maxUnreadBytes
    const closed = this.#backedUp || this.#unreadBytes > most
    if (closed === this.#closed) return
    this.#closed = closed
    if (!closed) queueMicrotask(() => this.#resume())
    else if (connection.readStatus === 'readable') connection.pause()
  }

  /** Later: the gate may open within a read that is still handing over what it has. */
  #resume(): void {
    if (!this.#closed && this.#connection.readStatus === 'paused') this.#connection.resume()
  }
}
