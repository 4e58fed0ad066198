/**
 * Whose turn it is on one HTTP socket, and how long the client may take when it is the client's: for the head of a
 * request, for the rest of it, and to read on while it is answered. An answer itself may take as long as it likes.
 *
 * The HTTP server's own timeouts do not hold for sockets that it did not accept. Memory: one timer, and the requests
 * under way, which are capped: HTTP/1.1 lets a client send any number of them before the first is answered.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface TurnOptions {
  /** From the last answer, or the connection, to a whole head. */
  readonly headMs: number
  /** From the head to the end of the request. */
  readonly bodyMs: number
  /** Longest time in which a client reads nothing of what waits for it. */
  readonly stallMs: number
}

/** Browsers and load balancers send one at a time; some libraries a few. */
const maxUnderWay = 8
/** How often it is looked whether a client reads, per `stallMs`. */
const looks = 4

export class HttpTurn {
  readonly #socket: Socket
  readonly #options: TurnOptions
  #timer: ReturnType<typeof setTimeout> | undefined
  #underWay = 0
  #over = false

  constructor(socket: Socket, options: TurnOptions) {
    this.#socket = socket
    this.#options = options
    socket.once('close', () => this.release())
    this.#awaitHead()
  }

  /** A head is in; false if these are too many at once. */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    if (++this.#underWay > maxUnderWay) return false
    let answered = false
    response.once('close', () => {
      answered = true
      if (--this.#underWay === 0) this.#awaitHead()
    })
    // A request that nobody read ends when its answer does.
    request.once('end', () => answered || this.#watchReading())
    this.#after(this.#options.bodyMs, () => {
      // It may be whole without anybody having read it: then there is no `end`.
      if (request.complete) this.#watchReading()
      else this.#socket.destroy()
    })
    return true
  }

  /** No deadline holds any more: the socket speaks something else now, or is closed. */
  release(): void {
    this.#over = true
    clearTimeout(this.#timer)
  }

  #awaitHead(): void {
    this.#after(this.#options.headMs, () => this.#socket.destroy())
  }

  #watchReading(unread = this.#progress, stalled = 0): void {
    this.#after(this.#options.stallMs / looks, () => {
      const still = this.#socket.writableLength > 0 && this.#progress === unread
      if (still && stalled + 1 >= looks) this.#socket.destroy()
      else this.#watchReading(this.#progress, still ? stalled + 1 : 0)
    })
  }

  /** Bytes that the client's side has taken. */
  get #progress(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
  }

  #after(ms: number, action: () => void): void {
    clearTimeout(this.#timer)
    if (!this.#over) this.#timer = setTimeout(action, ms)
  }
}
