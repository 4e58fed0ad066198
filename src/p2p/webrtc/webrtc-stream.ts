/**
 * One data channel as libp2p has streams, with short ways in and out.
 *
 * Invariant: what is not taken by the connection is bounded by `maxBufferedBytes`. Data channels have no windows: what
 * a paused stream is sent is kept, and so is a message that is not whole; its owner is told how much that is. Memory:
 * that, and `maxBufferedBytes`.
 */

import { AbstractStream, type SendResult } from '@libp2p/utils'
import { type Bytes, readSafely, type ShortStream, sendShort, type Taker } from '#src/mux/short-way.ts'
import { dataFrame, FrameReader, flagFrame, flags, maxDataBytes } from '#src/p2p/webrtc/frames.ts'
import type { NativeChannel } from '#src/p2p/webrtc/native.ts'
import { Opening } from '#src/p2p/webrtc/opening.ts'
import { asError } from '#src/util/errors.ts'

interface WebRtcStreamInit {
  readonly channel: NativeChannel
  readonly direction: 'inbound' | 'outbound'
  readonly log: ConstructorParameters<typeof AbstractStream>[0]['log']
  /** The stream holds so many unread bytes more, or less. */
  readonly held: (bytes: number) => void
}

/** Whoever sends waits when so much is in the channel's hands, until a quarter is left. */
const maxBufferedBytes = 512 * 1024
/** How long the peer may take to say that it has read the end; older ones never do. */
const finAckMs = 5_000

export class WebRtcStream extends AbstractStream implements ShortStream {
  readonly #channel: NativeChannel
  readonly #held: (bytes: number) => void
  readonly #frames = new FrameReader()
  readonly #finished = Promise.withResolvers<void>()
  /** Until a stream of the peer's has begun. */
  #opening: Opening | undefined
  #unread = 0

  constructor({ channel, direction, log, held }: WebRtcStreamInit) {
    super({
      id: `${channel.getId()}`,
      log,
      direction,
      maxMessageSize: maxDataBytes,
      maxReadBufferLength: Number.MAX_SAFE_INTEGER,
    })
    this.#channel = channel
    this.#held = held
    if (direction === 'inbound') this.#opening = new Opening()
    sendShort(this)
    this.addEventListener('close', () => this.#release(), { once: true })
    channel.setBufferedAmountLowThreshold(maxBufferedBytes / 4)
    channel.onMessage((message) => this.#receive(message))
    channel.onBufferedAmountLow(() => this.#drained())
    channel.onOpen(() => this.#drained())
    channel.onError((error) => this.abort(new Error(error)))
    channel.onClosed(() => {
      this.onRemoteCloseWrite()
      this.onTransportClosed()
    })
  }

  get #lives(): boolean {
    return this.status === 'open' || this.status === 'closing'
  }

  /** What waits is handed over before this returns. */
  readBy(take: Taker): void {
    readSafely(this, take)
    this.dispatchReadBuffer()
  }

  override sendData(bytes: Bytes): SendResult {
    // One that we opened is open as soon as its first packet can leave.
    if (!this.#channel.isOpen()) return { sentBytes: 0, canSendMore: false }
    for (const piece of dataFrame(bytes.subarray())) this.#channel.sendMessageBinary(piece)
    return {
      sentBytes: bytes.byteLength,
      canSendMore: this.#channel.bufferedAmount() < maxBufferedBytes,
    }
  }

  override sendReset(): void {
    this.#sendFlag(flags.reset)
  }

  /** Resolves when the peer has read the end: closing the channel before that may cost it what is under way. */
  override async sendCloseWrite(): Promise<void> {
    if (!this.#sendFlag(flags.fin)) return
    const timer = setTimeout(this.#finished.resolve, finAckMs)
    await this.#finished.promise
    clearTimeout(timer)
  }

  override async sendCloseRead(): Promise<void> {
    this.#sendFlag(flags.stopSending)
  }

  override sendPause(): void {}

  override sendResume(): void {}

  protected override dispatchReadBuffer(): void {
    super.dispatchReadBuffer()
    this.#account()
  }

  #receive(message: string | Uint8Array | ArrayBuffer): void {
    if (!this.#lives) return
    try {
      if (typeof message === 'string') throw new Error('text on a data channel')
      const bytes = message instanceof Uint8Array ? message : new Uint8Array(message)
      if (this.#opening === undefined) this.#read(bytes)
      else {
        for (const each of this.#opening.push(bytes)) this.#read(each)
        if (this.#opening.over) this.#opening = undefined
      }
      this.#account()
    } catch (error) {
      this.abort(asError(error))
    }
  }

  #read(bytes: Uint8Array): void {
    for (const { flag, data } of this.#frames.push(bytes)) {
      // What comes behind a reset belongs to nothing.
      if (!this.#lives) return
      if (data !== undefined && data.length > 0) this.onData(data as Uint8Array<ArrayBuffer>)
      if (flag !== undefined) this.#obey(flag)
    }
  }

  #obey(flag: number): void {
    if (flag === flags.fin) {
      // Once: who sends ends without end and reads no answers would have them pile up in the channel.
      if (this.remoteWriteStatus === 'closed') return
      this.#sendFlag(flags.finAck)
      this.onRemoteCloseWrite()
    } else if (flag === flags.reset) {
      this.onRemoteReset()
    } else if (flag === flags.stopSending) {
      this.onRemoteCloseRead()
    } else if (flag === flags.finAck) {
      this.#finished.resolve()
    }
  }

  #sendFlag(flag: number): boolean {
    try {
      if (!this.#channel.isOpen()) return false
      this.#channel.sendMessageBinary(flagFrame(flag))
      return true
    } catch {
      // It closed meanwhile, on another thread.
      return false
    }
  }

  #drained(): void {
    if (this.writableNeedsDrain) this.safeDispatchEvent('drain')
  }

  #account(): void {
    const held = this.#frames.heldBytes + (this.#opening?.heldBytes ?? 0)
    const unread = this.#lives ? this.readBufferLength + held : 0
    if (unread === this.#unread) return
    this.#held(unread - this.#unread)
    this.#unread = unread
  }

  #release(): void {
    this.#finished.resolve()
    this.#account()
    try {
      this.#channel.close()
    } catch {
      // It was closed from the other side.
    }
  }
}
