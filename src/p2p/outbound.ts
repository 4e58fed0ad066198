import type { Stream, StreamCloseEvent } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { type Version, versionOf } from '#src/bitswap/protocol.ts'
import { whenRead } from '#src/mux/short-way.ts'
import { type Keeper, type Resends, resendMs } from '#src/p2p/resends.ts'
import { closeFully, closeSoon, readToItsEnd } from '#src/p2p/stream-ends.ts'
import type { Link } from '#src/relay/ports.ts'
import { asError } from '#src/util/errors.ts'

/**
 * The sending side of one peer: a single Bitswap stream, opened when there is something to send and kept,
 * because opening one costs about a millisecond. It takes a message only when the stream has room, so what
 * a slow reader does not read stays where it can be bounded.
 *
 * Invariant: one message at a time is out of the relay's hands; if the stream breaks before it left, it is
 * sent again on a new one. Memory: that message, the one before it as long as `resends` has it, and the
 * stream's own window.
 */

export interface OutboundOptions {
  /** Opens a Bitswap stream to the peer; rejects when there is no connection. */
  readonly open: (signal: AbortSignal) => Promise<Stream>
  /** Returns the next message, in pieces, or undefined when there is none. */
  readonly take: (version: Version) => Uint8Array[] | undefined
  /** The peer takes nothing, or no stream can be opened: what is queued for it will not be read. */
  readonly stuck: (error: unknown) => void
  /**
   * Whether the connection's muxer tells us to wait for a slow reader. mplex does not: js-ipfs resets a stream of
   * which it has not read 4 MiB, and drops what it had.
   */
  readonly hasWindows?: () => boolean
  /** Bounds what all that share it keep to be sent again. */
  readonly resends: Resends
}

const openTimeoutMs = 10_000
/** A reader that takes nothing for this long is given up. */
const stuckMs = 120_000
const attempts = 3
/** A stream that is full for so long, while its peer is heard on another connection, leads nowhere. */
const blackHoleMs = 1_000
/** Sent on one stream of a muxer without windows, before it is closed and the next is opened. */
const perStreamBytes = 1024 * 1024
/** Such streams that the peer has not read to their end. It closes its own side when it has. */
const unreadStreams = 3
/** A peer that never closes its side (js-ipfs before 0.55) is not waited for any longer. */
const unreadMs = 5_000
/** A stream that is read, and on which something was sent so lately, is not one that its peer does not want any more. */
const flowMs = 1_000
/** Sent to one peer before others get their turn of the loop. */
const turnBytes = 1024 * 1024

export class Outbound implements Link, Keeper {
  readonly #options: OutboundOptions
  #stream: Stream | undefined
  #unsent: Uint8Array[] | undefined
  /** The message that left last: what a reset may have thrown away. */
  #last: Uint8Array[] | undefined
  /** `soon`: at the end of this turn of the loop. */
  #state: 'idle' | 'soon' | 'running' = 'idle'
  #again = false
  #closed = false
  #sentMs = 0
  /** The peer was seen to read since the last message began to leave. */
  #read = false
  /** The peer was seen to read since this stream was opened. */
  #everRead = false
  /** What the message under way waits for: room on a stream that was full. */
  #full:
    | { readonly stream: Stream; readonly sinceMs: number; resolve(): void; reject(error: Error): void }
    | undefined
  #streamBytes = 0
  readonly #unread = new Set<Stream>()

  constructor(options: OutboundOptions) {
    this.#options = options
  }

  /** There may be something to send. What comes in the same turn of the loop goes out together, unless it is `much`. */
  wake(much = false): void {
    this.#again = true
    if (this.#state === 'running' || this.#closed) return
    if (much) {
      this.#state = 'running'
      queueMicrotask(() => this.#run())
    } else if (this.#state === 'idle') {
      this.#state = 'soon'
      setImmediate(() => {
        if (this.#state !== 'soon') return
        this.#state = 'running'
        this.#run()
      })
    }
  }

  /**
   * Gives up a stream that stays full, and closes one that nothing was sent on for `idleMs`: peers drop idle ones
   * without a word.
   */
  sweep(nowMs: number, idleMs = Number.POSITIVE_INFINITY): void {
    const full = this.#full
    if (full !== undefined && nowMs - full.sinceMs > stuckMs)
      this.#room(full.stream, new Error('the peer reads nothing'))
    const stream = this.#stream
    if (stream === undefined || this.#state !== 'idle' || nowMs - this.#sentMs < idleMs) return
    this.#stream = undefined
    this.letGo()
    closeSoon(stream)
  }

  /** The peer is better reached elsewhere now: what comes next goes out on a new stream. */
  move(): void {
    const stream = this.#stream
    if (stream === undefined) return
    if (this.#full === undefined) {
      this.#stream = undefined
      closeSoon(stream)
    } else if (performance.now() - this.#full.sinceMs > blackHoleMs) {
      // What waits is sent again; what a dead connection swallowed is asked for again by who reconnected.
      this.#stream = undefined
      stream.abort(new Error('the peer is heard elsewhere'))
    }
  }

  /** Whether something was sent so lately that it may not have arrived. */
  sentLately(nowMs: number): boolean {
    return nowMs - this.#sentMs < resendMs
  }

  /**
   * Takes nothing more and resolves once what was sent has been read, or after `timeoutMs`. That it has left is not enough:
   * a connection that is closed while its peer still sends, grants of a window say, takes back what that has not read.
   */
  async finish(timeoutMs: number): Promise<void> {
    this.#closed = true
    const streams = [...this.#unread]
    if (this.#stream !== undefined) streams.push(this.#stream)
    this.#stream = undefined
    const lately = this.sentLately(performance.now())
    await Promise.all(streams.map((stream) => closeFully(stream, timeoutMs, lately)))
  }

  /** The message that left last is not to be sent again. */
  letGo(): void {
    if (this.#last === undefined) return
    this.#last = undefined
    this.#options.resends.remove(this)
  }

  /** Ends it; nothing is sent any more. */
  close(): void {
    this.#closed = true
    this.#unsent = undefined
    this.letGo()
    const stream = this.#stream
    this.#stream = undefined
    stream?.abort(new Error('peer is gone'))
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#closed) {
      try {
        await this.#drain()
        if (!this.#again) break
      } catch (error) {
        this.#stream?.abort(asError(error))
        this.#stream = undefined
        if (++failures >= attempts && !this.#closed) {
          this.#options.stuck(error)
          break
        }
      }
    }
    this.#state = 'idle'
    if (this.#again && !this.#closed && failures < attempts) this.wake()
  }

  /** Sends until there is nothing more, waiting whenever the stream is full or others are due. */
  async #drain(): Promise<void> {
    let sentBytes = 0
    while (!this.#closed) {
      const stream = this.#stream ?? (await this.#open())
      if (this.#closed) return
      this.#again = false
      this.#unsent ??= this.#options.take(versionOf(stream.protocol))
      if (this.#unsent === undefined) return
      const nowMs = performance.now()
      const flows = this.#everRead && nowMs - this.#sentMs < flowMs
      this.#sentMs = nowMs
      const message = new Uint8ArrayList(...this.#unsent)
      sentBytes += message.byteLength
      this.#read = false
      if (!stream.send(message)) {
        await this.#hasRoom(stream)
        sentBytes = 0
      }
      if (this.#closed) return
      if (flows || this.#read) this.letGo()
      else this.#keep(this.#unsent, message.byteLength)
      this.#unsent = undefined
      this.#streamBytes += message.byteLength
      if (this.#streamBytes >= perStreamBytes && this.#options.hasWindows?.() === false)
        await this.#turnOver(stream)
      if (sentBytes < turnBytes) continue
      await new Promise(setImmediate)
      sentBytes = 0
    }
  }

  #keep(message: Uint8Array[], bytes: number): void {
    this.#last = message
    this.#options.resends.add(this, bytes, this.#sentMs)
  }

  /**
   * Resolves when the stream can take more, rejects when it ended or stayed full for too long. (The library's own `onDrain`
   * waits only once in a stream's life.)
   */
  #hasRoom(stream: Stream): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#full = { stream, sinceMs: this.#sentMs, resolve, reject }
    })
  }

  /** The stream has room again or, with an error, never will. */
  #room(stream: Stream, error?: Error): void {
    const full = this.#full
    if (full?.stream !== stream) return
    this.#full = undefined
    if (error === undefined) full.resolve()
    else full.reject(error)
  }

  /** Ends a stream that has carried enough, and waits until the peer is not too far behind. */
  async #turnOver(stream: Stream): Promise<void> {
    this.#stream = undefined
    this.#unread.add(stream)
    const read = (): void => {
      this.#unread.delete(stream)
    }
    stream.addEventListener('remoteCloseWrite', read, { once: true })
    stream.addEventListener('close', read, { once: true })
    closeSoon(stream, stuckMs)
    if (this.#unread.size < unreadStreams) return
    const [oldest] = this.#unread
    if (oldest === undefined) return
    await readToItsEnd(oldest, unreadMs)
    this.#unread.delete(oldest)
  }

  async #open(): Promise<Stream> {
    this.#streamBytes = 0
    this.#everRead = false
    const stream = await this.#options.open(AbortSignal.timeout(openTimeoutMs))
    if (this.#closed) {
      stream.abort(new Error('peer is gone'))
      return stream
    }
    const forget = (event: StreamCloseEvent): void => {
      this.#room(stream, new Error('the stream closed before it took a message'))
      if (this.#stream !== stream) return
      this.#stream = undefined
      const last = this.#last
      this.letGo()
      if (event.error === undefined || last === undefined || this.#closed) return
      if (performance.now() - this.#sentMs > resendMs) return
      // Where one waits to be sent again, that is the one.
      this.#unsent ??= last
      this.wake()
    }
    stream.addEventListener('close', forget, { once: true })
    stream.addEventListener('drain', () => this.#room(stream))
    // Nothing is ever answered on a stream of ours; whatever comes is not kept.
    stream.addEventListener('message', ignore)
    // Who reads the stream does not reset it for not wanting it: the message need not be sent again.
    whenRead(stream, () => {
      if (this.#stream !== stream) return
      this.#read = true
      this.#everRead = true
      this.letGo()
    })
    this.#stream = stream
    return stream
  }
}

function ignore(): void {}
