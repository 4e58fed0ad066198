/**
 * The way out of a yamux connection: small frames of one turn of the loop leave together, as one sealed frame and one
 * packet, and whatever is large takes them along.
 *
 * Invariant: frames leave in the order in which they came. Memory: what waits for the end of the turn, `maxWaiting`
 * pieces; beyond a full connection `maxBacklogBytes` of what the peer makes us say, then it is not read until it reads.
 */

import { Uint8ArrayList } from 'uint8arraylist'
import type { Bytes, MuxedConnection } from '#src/mux/short-way.ts'
import { flags } from '#src/mux/yamux-frame.ts'
import { emptied } from '#src/util/emptied.ts'
import { eachPiece } from '#src/util/pieces.ts'

/** Data of this size leaves at once. */
const largeBytes = 4 * 1024
const maxWaiting = 256
/** A peer that makes us answer (pings, refused streams) and does not read the answers. */
const maxBacklogBytes = 64 * 1024
/** How long a frame that nobody waits for may wait for others to leave with, and how many of them. */
const laterMs = 100
const maxLater = 16

export interface SenderHost {
  readonly connection: MuxedConnection
  /** Sends to the connection; false when that is full. */
  send(bytes: Uint8ArrayList): boolean
  /** Something is about to leave: what is still to be said is said now. */
  leaving(): void
  /** More is waiting than a peer may leave unread. */
  backedUp(): void
}

export class FrameSender {
  readonly #host: SenderHost
  #waiting: Uint8Array[] = []
  #queuedBytes = 0
  #scheduled = false
  #backlogBytes = 0
  #later = 0
  #laterTimer: ReturnType<typeof setTimeout> | undefined

  constructor(host: SenderHost) {
    this.#host = host
    host.connection.addEventListener('drain', () => {
      this.#backlogBytes = 0
    })
  }

  /** Takes a frame with data. */
  queue(header: Uint8Array, body: Bytes): void {
    this.#waiting.push(header)
    eachPiece(body, (piece) => this.#waiting.push(piece))
    this.#queuedBytes += body.byteLength
    // The first on a stream that the peer opened: the answer to what it asked for there.
    if (has(header, flags.ack)) this.#owe(header.length + body.byteLength)
  }

  /** Sends what was queued, at once if it is much; false when the connection is full. */
  send(): boolean {
    if (this.#queuedBytes >= largeBytes || this.#waiting.length >= maxWaiting) return this.flush()
    this.soon()
    return !this.#host.connection.writableNeedsDrain
  }

  /** Sends a frame without data. */
  control(frame: Uint8Array): void {
    this.#waiting.push(frame)
    // Pings and streams of ours are no answers: two ends with many of them must not wait for each other.
    if (!has(frame, flags.syn)) this.#owe(frame.length)
    if (this.#waiting.length >= maxWaiting) this.flush()
    else this.soon()
  }

  /** Sends a frame without data that nobody waits for: with what leaves next. Alone it would be a packet of its own. */
  controlLater(frame: Uint8Array): void {
    if (++this.#later >= maxLater || this.#scheduled) return this.control(frame)
    this.#waiting.push(frame)
    this.#owe(frame.length)
    if (this.#laterTimer !== undefined) return
    this.#laterTimer = setTimeout(() => {
      this.#laterTimer = undefined
      this.soon()
    }, laterMs)
    this.#laterTimer.unref?.()
  }

  /** Sends what waits at the end of this turn. */
  soon(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      try {
        this.flush()
      } catch {
        // The connection has ended by that, and with it its streams.
      }
    })
  }

  /** Sends what waits; false when the connection is full. What a closed connection does not take is lost with it. */
  flush(): boolean {
    this.#host.leaving()
    const { connection } = this.#host
    if (this.#waiting.length === 0) return !connection.writableNeedsDrain
    const frames = new Uint8ArrayList(...this.#waiting)
    this.#waiting = emptied(this.#waiting)
    this.#queuedBytes = 0
    this.#later = 0
    if (connection.writeStatus !== 'writable') return false
    return this.#host.send(frames)
  }

  #owe(bytes: number): void {
    if (!this.#host.connection.writableNeedsDrain) return
    this.#backlogBytes += bytes
    if (this.#backlogBytes > maxBacklogBytes) this.#host.backedUp()
  }
}

function has(header: Uint8Array, flag: number): boolean {
  return ((header[3] as number) & flag) !== 0
}
