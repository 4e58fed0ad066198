/**
 * One stream of a yamux connection, as libp2p has streams, with short ways in and out.
 *
 * Invariant: no more is sent than the peer granted, and no more is granted than what was read here leaves room for.
 * Memory: what is unread, at most the receive window; what `send` was given beyond the peer's window, which whoever
 * sends bounds by waiting when `send` says false.
 */

import type { AbortOptions } from '@libp2p/interface'
import { AbstractStream, type SendResult } from '@libp2p/utils'
import { type Allowance, initialWindow, ReceiveWindow } from '#src/mux/receive-window.ts'
import { type Bytes, part, readSafely, type ShortStream, sendShort, type Taker } from '#src/mux/short-way.ts'
import { flags } from '#src/mux/yamux-frame.ts'

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly allowance: Allowance
  /** Takes a frame of data, to be sent in order. */
  queueData(flag: number, id: number, bytes: Bytes): void
  /** Sends what was taken, if it is much, else at the end of the turn; false when the connection is full. */
  sendQueued(): boolean
  /** Grants `window` bytes, or carries flags. */
  sendUpdate(flag: number, id: number, window: number): void
  /** Carries flags that nobody waits for. */
  sendEnd(flag: number, id: number): void
  /** Sends all that waits, and what is still to be said. */
  sendNow(): void
  /** The stream holds so many unread bytes more, or less. */
  held(bytes: number): void
}

interface StreamInit {
  readonly id: number
  readonly direction: 'inbound' | 'outbound'
  readonly largestWindow: number
  /** What the peer may send at first on a stream that it opens. */
  readonly firstWindow: number
  readonly log: ConstructorParameters<typeof AbstractStream>[0]['log']
}

/** Larger frames would hold up the other streams of the connection; with its header it fills one Noise frame. */
const maxFrameBytes = 65_519 - 12

export class YamuxStream extends AbstractStream implements ShortStream {
  readonly number: number
  readonly #muxer: StreamOwner
  readonly #window: ReceiveWindow
  onRead: (() => void) | undefined
  lingers = false
  /** What the peer may still be sent. */
  #room = initialWindow
  /** Sending waits for the peer's window, not for the connection. */
  #starved = false
  /** What the next frame has to carry: SYN of our own stream, ACK of the peer's. */
  #flags: number
  /** Granted, and the peer does not know. */
  #untold = 0
  #unread = 0

  constructor(init: StreamInit, muxer: StreamOwner) {
    const { id, direction, largestWindow, firstWindow, log } = init
    // A stream that is granted nothing more when it has a window of unread bytes cannot overflow.
    super({ id: `${id}`, log, direction, maxReadBufferLength: Number.MAX_SAFE_INTEGER })
    this.number = id
    this.#muxer = muxer
    this.#flags = direction === 'outbound' ? flags.syn : flags.ack
    this.#window = new ReceiveWindow(largestWindow, muxer.allowance, performance.now())
    if (direction === 'inbound') this.#untold = this.#window.widen(firstWindow)
    sendShort(this)
  }

  /** What waits is handed over before this returns. */
  readBy(take: Taker): void {
    readSafely(this, take)
    this.dispatchReadBuffer()
  }

  /** Returns up to `length` bytes of what is unread, in one piece. */
  peek(length: number): Uint8Array {
    return this.readBuffer.subarray(0, Math.min(length, this.readBufferLength))
  }

  /** Counts as read what was peeked at. */
  skip(length: number): void {
    this.readBuffer.consume(length)
  }

  /** Opens it, or accepts it, unless a frame that was sent did. */
  announce(): void {
    if (this.status !== 'open') return
    // Who has ended its side already needs no window.
    const window = this.remoteWriteStatus === 'writable' ? this.#untold : 0
    this.#untold = 0
    if (this.#flags !== 0 || window > 0) this.#muxer.sendUpdate(this.#takeFlags(), this.number, window)
  }

  /** What was said here, and what is granted, is sent now: the peer is about to wait for it. */
  hurry(): void {
    if (this.#untold > 0) this.#muxer.sendNow()
  }

  /** The peer announces `bytes` on this stream; false when it was not granted that many. */
  charge(bytes: number): boolean {
    const granted = this.#window.charge(bytes)
    // It has used up half of what it knows to be granted: it is to hear of the rest before that is looked at.
    if (this.#window.unused <= this.#untold + initialWindow / 2) this.hurry()
    return granted
  }

  /** Takes a piece of what the peer sends. */
  receive(bytes: Uint8Array): void {
    this.onData(bytes)
    this.#account()
  }

  /** The peer grants `bytes` more, in accepting the stream or because it has read as many. */
  granted(bytes: number, accepting: boolean): void {
    if (bytes > 0 && !accepting) this.onRead?.()
    this.#room += bytes
    if (bytes === 0 || !this.#starved) return
    this.#starved = false
    this.#sendOn()
  }

  /** Grants the peer what has been read, once that is worth a frame. */
  replenish(): void {
    this.#account()
    if (this.readStatus === 'paused' || this.remoteWriteStatus !== 'writable') return
    const grant = this.#window.replenish(this.#unread, performance.now())
    if (grant > 0) this.#muxer.sendUpdate(this.#takeFlags(), this.number, grant)
  }

  /** The stream is over. */
  release(): void {
    this.#muxer.held(-this.#unread)
    this.#unread = 0
    this.#window.release()
  }

  override sendData(bytes: Bytes): SendResult {
    const total = bytes.byteLength
    const allowed = Math.min(total, this.#room)
    let sentBytes = 0
    while (sentBytes < allowed) {
      const length = Math.min(allowed - sentBytes, maxFrameBytes)
      const piece = length === total ? bytes : part(bytes, sentBytes, sentBytes + length)
      sentBytes += length
      this.#muxer.queueData(this.#takeFlags(), this.number, piece)
    }
    this.#room -= allowed
    this.#starved = allowed < total
    const roomBelow = this.#muxer.sendQueued()
    return { sentBytes, canSendMore: roomBelow && !this.#starved }
  }

  override async sendCloseWrite(): Promise<void> {
    this.#muxer.sendUpdate(this.#takeFlags() | flags.fin, this.number, 0)
  }

  /** yamux knows no closing of the reading side alone: the peer may go on, and nobody hears it. */
  override async sendCloseRead(options?: { signal?: AbortSignal }): Promise<void> {
    this.replenish()
    options?.signal?.throwIfAborted()
  }

  override sendReset(): void {
    this.#muxer.sendUpdate(this.#takeFlags() | flags.rst, this.number, 0)
  }

  /** Without grants the peer stops at the end of its window. */
  override sendPause(): void {}

  override sendResume(): void {
    this.replenish()
  }

  /** The connection has room again, which is of no use to who waits for the peer. */
  override onMuxerDrain(): void {
    if (this.writableNeedsDrain && !this.#starved) this.#sendOn()
  }

  /** Closes at once where nothing has to leave before, and the peer has closed its side: then the stream is over. */
  override async close(options?: AbortOptions): Promise<void> {
    const waits = this.writeBufferLength > 0 || this.sendingData || this.writableNeedsDrain
    if (waits || this.remoteWriteStatus !== 'closed' || this.writeStatus !== 'writable')
      return super.close(options)
    const ends = this.#takeFlags() | flags.fin
    if (this.lingers) this.#muxer.sendEnd(ends, this.number)
    else this.#muxer.sendUpdate(ends, this.number, 0)
    this.writeStatus = 'closed'
    this.onTransportClosed()
  }

  protected override dispatchReadBuffer(): void {
    super.dispatchReadBuffer()
    if (this.status === 'open') this.replenish()
  }

  /** Sends what waits. Who waits for `drain` hears of it when all has left: else it would add more to what waits. */
  #sendOn(): void {
    this.writableNeedsDrain = false
    this.processSendQueue()
    if (!this.writableNeedsDrain && this.writeBufferLength === 0) this.safeDispatchEvent('drain')
  }

  #takeFlags(): number {
    const taken = this.#flags
    this.#flags = 0
    return taken
  }

  #account(): void {
    const unread = this.readBufferLength
    // What is unread of a stream that is over was given back by `release`.
    if (unread === this.#unread || this.status !== 'open') return
    this.#muxer.held(unread - this.#unread)
    this.#unread = unread
  }
}
