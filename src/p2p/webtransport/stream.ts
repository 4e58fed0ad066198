/**
 * A bidirectional stream of a WebTransport session, as libp2p has streams, with short ways in and out.
 *
 * Invariant: what is not read here stops the peer, by QUIC's windows; what the peer does not take makes `send` say
 * false. Memory: unread bytes up to `pauseAtBytes` and what was under way by then; unsent ones up to `aheadBytes`
 * beside what `send` was given beyond, which whoever sends bounds by waiting.
 */

import { AbstractStream, type SendResult } from '@libp2p/utils'
import { type Bytes, part, readSafely, type ShortStream, sendShort, type Taker } from '#src/mux/short-way.ts'
import type { H3Session, StreamSink } from '#src/p2p/webtransport/h3-session.ts'
import { eachPiece } from '#src/util/pieces.ts'

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly session: H3Session
  /** So much is unread on all streams that none of them is to be read. */
  readonly isFull: boolean
  /** The stream holds so many unread bytes more, or less. */
  held(bytes: number): void
}

interface StreamInit {
  readonly id: number
  readonly direction: 'inbound' | 'outbound'
  readonly log: ConstructorParameters<typeof AbstractStream>[0]['log']
}

const pauseAtBytes = 256 * 1024
/** What QUIC may have before it: a message with a block, and the next one. */
const aheadBytes = 512 * 1024
/** Pieces below this are put together: each write wakes the other thread, and is answered. */
const mergeBytes = 64 * 1024

export class WebTransportStream extends AbstractStream implements ShortStream, StreamSink {
  readonly number: number
  readonly #owner: StreamOwner
  /** Pieces that QUIC has not taken yet. */
  #ahead: number[] = []
  #aheadBytes = 0
  #unread = 0
  #isPaused = false

  constructor(init: StreamInit, owner: StreamOwner) {
    const { id, direction, log } = init
    super({ id: `${id}`, log, direction, maxReadBufferLength: Number.MAX_SAFE_INTEGER })
    this.number = id
    this.#owner = owner
    this.addEventListener('close', () => this.#release())
    sendShort(this)
  }

  /** What waits is handed over before this returns. */
  readBy(take: Taker): void {
    readSafely(this, take)
    this.dispatchReadBuffer()
  }

  // What the session tells.

  data(bytes: Uint8Array): void {
    this.onData(bytes)
    this.throttle()
  }

  ended(): void {
    if (this.status === 'open') this.onRemoteCloseWrite()
  }

  /** Our side goes too: the addon keeps a stream, and QUIC its place, until both have ended. */
  wasReset(): void {
    if (this.status !== 'open') return
    this.#owner.session.reset(this.number)
    this.onRemoteReset()
  }

  /** Told when something was to be sent: it is lost. */
  stopped(): void {
    this.abort(new Error('the peer reads no more of the stream'))
  }

  written(): void {
    this.#aheadBytes -= this.#ahead.shift() ?? 0
    if (this.writableNeedsDrain && this.#aheadBytes <= aheadBytes / 2) this.#sendOn()
  }

  /** Has QUIC keep what comes, or read it again. */
  throttle(): void {
    this.#account()
    if (this.status !== 'open' || this.remoteWriteStatus !== 'writable') return
    const shouldPause = this.readStatus === 'paused' || this.#unread > pauseAtBytes || this.#owner.isFull
    if (shouldPause === this.#isPaused) return
    this.#isPaused = shouldPause
    this.#owner.session.pause(this.number, shouldPause)
  }

  // What the library asks for.

  override sendData(bytes: Bytes): SendResult {
    const sentBytes = Math.min(bytes.byteLength, Math.max(0, aheadBytes - this.#aheadBytes))
    const sent = sentBytes < bytes.byteLength ? part(bytes, 0, sentBytes) : bytes
    if (sentBytes <= mergeBytes) this.#write(sent.subarray())
    else eachPiece(sent, (piece) => this.#write(piece))
    return { sentBytes, canSendMore: this.#aheadBytes < aheadBytes }
  }

  override async sendCloseWrite(): Promise<void> {
    this.#owner.session.fin(this.number)
  }

  /** The peer may go on, and nobody hears it: told to stop, it could not end its side any more in a way that is told. */
  override async sendCloseRead(): Promise<void> {
    this.throttle()
  }

  override sendReset(): void {
    this.#owner.session.reset(this.number)
    this.#owner.session.stopSending(this.number)
  }

  override sendPause(): void {
    this.throttle()
  }

  override sendResume(): void {
    this.throttle()
  }

  protected override dispatchReadBuffer(): void {
    super.dispatchReadBuffer()
    this.throttle()
  }

  #write(piece: Uint8Array): void {
    if (piece.byteLength === 0) return
    this.#ahead.push(piece.byteLength)
    this.#aheadBytes += piece.byteLength
    this.#owner.session.write(this.number, piece)
  }

  /** Sends what waits. Who waits for `drain` hears of it when all has left: else it would add more to what waits. */
  #sendOn(): void {
    this.writableNeedsDrain = false
    this.processSendQueue()
    if (!this.writableNeedsDrain && this.writeBufferLength === 0) this.safeDispatchEvent('drain')
  }

  #account(): void {
    const unread = this.status === 'open' ? this.readBufferLength : 0
    if (unread === this.#unread) return
    const more = unread - this.#unread
    this.#unread = unread
    this.#owner.held(more)
  }

  #release(): void {
    this.#account()
    this.#owner.session.forget(this.number)
  }
}
