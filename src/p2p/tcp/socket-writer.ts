/**
 * Writes to a socket what libp2p hands over in pieces: each send is one write, and small sends of one turn of the
 * loop are one together. Piece by piece each would be a system call and a packet.
 *
 * Memory: the small sends of one turn, and what the socket has not taken; lent buffers are handed back when it has.
 */

import type { Socket } from 'node:net'
import type { SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { handBack, isLent, lend } from '#src/p2p/tcp/send-buffers.ts'
import { emptied } from '#src/util/emptied.ts'
import { fill } from '#src/util/pieces.ts'

/** Smaller sends wait for the end of the turn: window updates and presences come in swarms. */
const smallBytes = 4 * 1024

export class SocketWriter {
  readonly #socket: Socket
  #small: Uint8Array[] = []

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Takes all of it; `canSendMore` is false until the socket's `drain`. */
  write(data: Uint8ArrayList | Uint8Array): SendResult {
    const bytes = data instanceof Uint8Array ? data : joinedIn(data)
    if (bytes.length < smallBytes) this.#join(bytes)
    else this.#write(bytes)
    return { sentBytes: bytes.length, canSendMore: !this.#socket.writableNeedDrain }
  }

  /** Writes what waits for the end of the turn; to be called before the socket is ended. */
  flush(): void {
    if (this.#small.length === 0) return
    const together = this.#small.length === 1 ? (this.#small[0] as Uint8Array) : Buffer.concat(this.#small)
    this.#small = emptied(this.#small)
    if (this.#socket.writable) this.#socket.write(together)
  }

  #join(bytes: Uint8Array): void {
    if (this.#small.push(bytes) === 1) queueMicrotask(() => this.flush())
  }

  #write(bytes: Uint8Array): void {
    this.flush()
    if (isLent(bytes)) this.#socket.write(bytes, () => handBack(bytes))
    else this.#socket.write(bytes)
  }
}

/** Returns the list's bytes in one piece, in memory that has been used before where that pays. */
function joinedIn(list: Uint8ArrayList): Uint8Array {
  const [only, second] = list
  if (only !== undefined && second === undefined) return only
  return fill(lend(list.byteLength), list)
}
