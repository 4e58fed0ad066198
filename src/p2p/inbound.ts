import type { Stream } from '@libp2p/interface'
import { Assembly } from '#src/bitswap/assembly.ts'
import type { StartHash } from '#src/bitswap/block.ts'
import { decodeMessage, type Message } from '#src/bitswap/message.ts'
import { maxMessageBytes } from '#src/bitswap/protocol.ts'
import { linger, readBy } from '#src/mux/short-way.ts'
import { FrameReader } from '#src/p2p/frames.ts'
import { closeSoon } from '#src/p2p/stream-ends.ts'
import type { RefusalReason } from '#src/relay/counters.ts'

/**
 * The receiving side of one peer: all Bitswap streams that it opened, cut into messages.
 *
 * Invariant: a stream is reset at its first fault, and the fault is counted; what one stream does ends no
 * other. Memory: at most `maxStreams` streams and `maxHeldBytes` of messages that are not whole; a stream
 * leaves by its close, by being the oldest idle one when there are too many, or by stopping in the middle
 * of a message.
 */

export interface InboundOptions {
  /** Takes a message; returns for how long to read nothing more, in ms. */
  readonly receive: (message: Message) => number
  readonly refuse: (reason: RefusalReason) => void
  readonly maxStreams: number
  readonly maxHeldBytes: number
  /** Hashes large blocks while they come; where all that comes is hashed anyway. */
  readonly startHash?: StartHash
}

/** A message that is begun and then left for this long is given up. */
const idleMs = 30_000

interface Reading {
  readonly frames: FrameReader<Assembly>
  heardMs: number
}

export class Inbound {
  readonly #options: InboundOptions
  readonly #streams = new Map<Stream, Reading>()
  #heldBytes = 0
  #resume: ReturnType<typeof setTimeout> | undefined

  constructor(options: InboundOptions) {
    this.#options = options
  }

  /** Reads a stream until it ends. */
  add(stream: Stream): void {
    if (this.#streams.size >= this.#options.maxStreams) this.#dropOldest()
    const frames = new FrameReader(maxMessageBytes, () => new Assembly(this.#options.startHash))
    const reading: Reading = { frames, heardMs: performance.now() }
    this.#streams.set(stream, reading)
    // Nothing is ever said on it, so nobody waits for the end of that.
    linger(stream)
    // Not before all of it is read: what is unread in a stream that both have closed is not delivered.
    stream.addEventListener('end', () => closeSoon(stream), { once: true })
    stream.addEventListener('close', () => this.#forget(stream, reading), { once: true })
    if (stream.readableEnded) closeSoon(stream)
    if (stream.status !== 'open') this.#forget(stream, reading)
    else if (this.#resume !== undefined) stream.pause()
    readBy(stream, (bytes) => this.#read(stream, reading, bytes))
  }

  /** Resets streams that stopped in the middle of a message. */
  sweep(nowMs: number): void {
    for (const [stream, reading] of this.#streams) {
      if (reading.frames.partial && nowMs - reading.heardMs > idleMs) this.#reset(stream, 'idle-stream')
    }
  }

  close(): void {
    clearTimeout(this.#resume)
    for (const stream of this.#streams.keys()) stream.abort(new Error('peer is gone'))
  }

  #read(stream: Stream, reading: Reading, bytes: Uint8Array): void {
    if (!this.#streams.has(stream)) return
    const heldBefore = reading.frames.held
    reading.heardMs = performance.now()
    const fits = reading.frames.push(bytes, (frame) => this.#frame(stream, frame))
    // Reset by what it sent: the reader counts nothing of that message any more.
    if (!this.#streams.has(stream)) {
      this.#heldBytes -= heldBefore
      return
    }
    this.#heldBytes += reading.frames.held - heldBefore
    if (!fits || this.#heldBytes > this.#options.maxHeldBytes) this.#reset(stream, 'message-too-big')
  }

  #frame(stream: Stream, frame: Uint8Array | Assembly): void {
    if (!this.#streams.has(stream)) return
    if (frame instanceof Uint8Array && frame.length === 0) return
    const message = frame instanceof Uint8Array ? decodeMessage(frame) : frame.finish()
    if (typeof message === 'string') return this.#reset(stream, message)
    const delayMs = this.#options.receive(message)
    if (delayMs > 0) this.#pause(delayMs)
  }

  /** Stops reading from this peer for a while; its windows fill, and it has to wait. */
  #pause(delayMs: number): void {
    if (this.#resume !== undefined) return
    for (const stream of this.#streams.keys()) if (stream.readStatus === 'readable') stream.pause()
    this.#resume = setTimeout(() => {
      this.#resume = undefined
      for (const stream of this.#streams.keys()) if (stream.readStatus === 'paused') stream.resume()
    }, delayMs)
  }

  #dropOldest(): void {
    for (const stream of this.#streams.keys()) return this.#reset(stream, 'too-many-streams')
  }

  #reset(stream: Stream, reason: RefusalReason): void {
    this.#options.refuse(reason)
    const reading = this.#streams.get(stream)
    if (reading !== undefined) this.#forget(stream, reading)
    stream.abort(new Error(reason))
  }

  #forget(stream: Stream, reading: Reading): void {
    if (this.#streams.delete(stream)) this.#heldBytes -= reading.frames.held
  }
}
