/**
 * Cuts a byte stream into frames: a varint length, then that many bytes.
 *
 * Invariant: a frame that came in one piece is a view of it; any other is copied once, when it is whole.
 * Memory: the bytes received of the frame that is not whole yet, at most `maxBytes`, however small the
 * pieces they came in.
 */
export class FrameReader {
  readonly #maxBytes: number
  #length = 0
  #scale = 1
  #inBody = false
  #parts: Uint8Array[] = []
  #held = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes held of a frame that is not whole. */
  get held(): number {
    return this.#held
  }

  /** Whether a frame was begun and is not whole. */
  get partial(): boolean {
    return this.#inBody || this.#scale > 1
  }

  /** Takes bytes and calls `frame` for each frame they complete; false when a frame is too large. */
  push(bytes: Uint8Array, frame: (bytes: Uint8Array) => void): boolean {
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
      const part = bytes.subarray(at, at + missing)
      at += part.length
      if (part.length < missing) {
        this.#keep(part)
        return true
      }
      const whole = this.#held === 0 ? part : this.#join(part)
      this.#reset()
      frame(whole)
    }
    return true
  }

  #keep(part: Uint8Array): void {
    if (part.length === 0) return
    // A small view would keep a large buffer.
    this.#parts.push(part.length < smallPartBytes ? new Uint8Array(part) : part)
    this.#held += part.length
    // Each part has its own overhead, and keeps the buffer it is a view of.
    if (this.#parts.length >= maxParts) this.#parts = [concat(this.#parts, this.#held)]
  }

  #join(last: Uint8Array): Uint8Array {
    this.#parts.push(last)
    return concat(this.#parts, this.#length)
  }

  #reset(): void {
    this.#length = 0
    this.#scale = 1
    this.#inBody = false
    this.#parts = []
    this.#held = 0
  }
}

const maxParts = 1024
const smallPartBytes = 4096

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
