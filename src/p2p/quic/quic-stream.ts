/**
 * One stream of a QUIC connection as libp2p has streams, with short ways in and out.
 *
 * Invariant: nothing is read from the connection that is not read here: a paused stream fills its window, and the peer
 * has to wait. One write is under way at a time, in order. Memory: `maxUnreadBytes` and one piece that were read, and
 * twice `maxUnsentBytes` and a message: what is being written, and what waits behind it.
 */

import { AbstractStream, type SendResult } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { type Bytes, readSafely, type ShortStream, sendShort, type Taker } from '#src/mux/short-way.ts'
import type { NativeStream } from '#src/p2p/quic/native.ts'
import { asError } from '#src/util/errors.ts'

interface QuicStreamInit {
  readonly native: NativeStream
  readonly direction: 'inbound' | 'outbound'
  readonly log: ConstructorParameters<typeof AbstractStream>[0]['log']
}

/** Nothing more is read while so much waits for its reader. */
const maxUnreadBytes = 256 * 1024
/** So much is taken while a write is under way: messages that are made meanwhile leave as one. */
const maxUnsentBytes = 512 * 1024
/** The addon makes room for as much as is asked for, and keeps it for as long as the piece lives. */
const smallestRead = 2 * 1024
const largestRead = 64 * 1024

export class QuicStream extends AbstractStream implements ShortStream {
  readonly #native: NativeStream
  #unsent = new Uint8ArrayList()
  #writing: Promise<void> | undefined
  #readOn: (() => void) | undefined

  constructor(init: QuicStreamInit) {
    const { native, direction, log } = init
    super({ id: native.id(), log, direction, maxReadBufferLength: Number.MAX_SAFE_INTEGER })
    this.#native = native
    sendShort(this)
    void this.#read()
  }

  /** What waits is handed over before this returns. */
  readBy(take: Taker): void {
    readSafely(this, take)
    this.dispatchReadBuffer()
  }

  override sendData(bytes: Bytes): SendResult {
    this.#unsent.append(bytes)
    this.#writing ??= this.#write()
    return { sentBytes: bytes.byteLength, canSendMore: this.#unsent.byteLength < maxUnsentBytes }
  }

  override sendReset(): void {
    this.#unsent = new Uint8ArrayList()
    // Each waits for what is under way in its direction; who never reads has the stream until its connection ends.
    void this.#native.resetWrite().catch(ignore)
    void this.#native.stopRead().catch(ignore)
    this.#readOn?.()
  }

  override async sendCloseWrite(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    if (this.status === 'open' || this.status === 'closing') await this.#native.finishWrite()
  }

  /** What still comes is thrown away, so that the end is noticed. */
  override async sendCloseRead(): Promise<void> {
    this.#readOn?.()
  }

  override sendPause(): void {}

  override sendResume(): void {
    this.#readOn?.()
  }

  protected override dispatchReadBuffer(): void {
    super.dispatchReadBuffer()
    if (this.readBufferLength === 0) this.#readOn?.()
  }

  async #write(): Promise<void> {
    try {
      while (this.#unsent.byteLength > 0) {
        const bytes = this.#unsent.subarray()
        this.#unsent = new Uint8ArrayList()
        await this.#native.write(bytes)
        if (this.writableNeedsDrain) this.safeDispatchEvent('drain')
      }
    } catch (error) {
      this.#unsent = new Uint8ArrayList()
      // The peer reads no more; a stream of which one half is reset is of no use to libp2p.
      if (this.status === 'open' || this.status === 'closing') this.abort(asError(error))
    } finally {
      this.#writing = undefined
    }
  }

  async #read(): Promise<void> {
    let size = smallestRead
    try {
      for (;;) {
        while (this.#mustWait()) await this.#untilRead()
        if (this.status !== 'open' && this.status !== 'closing') return
        const bytes = await this.#native.read(size)
        if (bytes === null) break
        if (bytes.length === size) size = Math.min(size * 4, largestRead)
        else if (bytes.length < size / 8) size = Math.max(size / 2, smallestRead)
        this.onData(bytes as Uint8Array<ArrayBuffer>)
      }
      this.onRemoteCloseWrite()
    } catch (error) {
      if (this.status !== 'open' && this.status !== 'closing') return
      // A connection that is lost closes its streams by itself.
      if (/reset/.test(String(error))) this.onRemoteReset()
      else this.onTransportClosed()
    }
  }

  #mustWait(): boolean {
    if (this.status !== 'open' && this.status !== 'closing') return false
    return this.readStatus === 'paused' || this.readBufferLength > maxUnreadBytes
  }

  #untilRead(): Promise<void> {
    return new Promise((resolve) => {
      this.#readOn = () => {
        this.#readOn = undefined
        resolve()
      }
    })
  }
}

function ignore(): void {}
