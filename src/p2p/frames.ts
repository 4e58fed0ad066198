import { Gathering } from '#src/util/pieces.ts'

/** A long frame on its way: takes its bytes as they come. */
export interface LongFrame {
  add(piece: Uint8Array): void
}

/**
 * Cuts a byte stream into frames: a varint length, then that many bytes.
 *
 * Invariant: a frame that came in one piece is a view of it. Of others, long ones are handed on piece by piece where
 * somebody takes them so, and all else is copied once, when it is whole. Memory: the bytes received of the frame that is not
 * whole yet, at most `maxBytes`, in buffers that are at most 8 times as large (`Gathering`), however small the pieces they
 * came in.
 */
export class FrameReader<Long extends LongFrame = never> {
  readonly #maxBytes: number
  readonly #beginLong: (() => Long) | undefined
  #length = 0
  #scale = 1
  #inBody = false
  #held = 0
  #short: Gathering | undefined
  #long: Long | undefined

  /** `beginLong` is called when a long frame has begun; what it returns is the frame when that is whole. */
  constructor(maxBytes: number, beginLong?: () => Long) {
    this.#maxBytes = maxBytes
    this.#beginLong = beginLong
  }

  /** Bytes received of a frame that is not whole. */
  get held(): number {
    return this.#held
  }

  /** Whether a frame was begun and is not whole. */
  get partial(): boolean {
    return this.#inBody || this.#scale > 1
  }

  /** Takes bytes and calls `frame` for each frame they complete; false when a frame is too large. */
  push(bytes: Uint8Array, frame: (frame: Uint8Array | Long) => void): boolean {
    let at = 0
    while (at < bytes.length) {
      if (!this.#inBody) {
        const byte = bytes[at++] as number
        this.#length += (byte & 0x7f) * this.#scale
        this.#scale *= 0x80
        if (this.#length > this.#maxBytes || this.#scale > 0x8_0000_0000) return false
        if (byte >= 0x80) continue
        this.#inBody = true
      }
      const missing = this.#length - this.#held
      const piece = bytes.subarray(at, at + missing)
      at += piece.length
      if (piece.length < missing) {
        this.#keep(piece)
        return true
      }
      const whole = this.#held === 0 ? piece : this.#complete(piece)
      this.#reset()
      frame(whole)
    }
    return true
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return
    if (this.#held === 0 && this.#length >= longBytes) this.#long = this.#beginLong?.()
    if (this.#long === undefined) this.#short ??= new Gathering()
    ;(this.#long ?? this.#short)?.add(piece)
    this.#held += piece.length
  }

  #complete(last: Uint8Array): Uint8Array | Long {
    this.#keep(last)
    return this.#long ?? (this.#short as Gathering).joined()
  }

  #reset(): void {
    this.#length = 0
    this.#scale = 1
    this.#inBody = false
    this.#held = 0
    this.#short = undefined
    this.#long = undefined
  }
}

const longBytes = 32 * 1024
