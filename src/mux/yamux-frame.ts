/**
 * Frames of yamux (hashicorp/yamux, spec.md): a header of 12 bytes, and for data frames a body.
 *
 * Invariant: a body is handed on as it comes, in views of what was received, never copied and never waited for.
 * Memory: a header that is not whole.
 */

export const frameTypes = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export const flags = { syn: 1, ack: 2, fin: 4, rst: 8 } as const
export const headerBytes = 12

/** Returns the header of a frame; `length` is the body's, the window's, a ping's number or a reason by its type. */
export function writeHeader(type: number, flag: number, id: number, length: number): Uint8Array {
  const header = Buffer.allocUnsafe(headerBytes)
  header[0] = 0
  header[1] = type
  header[2] = 0
  header[3] = flag
  header.writeUInt32BE(id, 4)
  header.writeUInt32BE(length, 8)
  return header
}

/** Who reads the frames. */
export interface FrameTaker {
  /** A frame without a body, or the header of a data frame. */
  header(type: number, flag: number, id: number, length: number): void
  /** A piece of the body of the frame whose header came last, not empty. */
  body(bytes: Uint8Array): void
  /** The data frame whose header came last is whole. */
  end(): void
}

export class FrameReader {
  readonly #taker: FrameTaker
  readonly #partial = new Uint8Array(headerBytes)
  #have = 0
  #bodyLeft = 0

  constructor(taker: FrameTaker) {
    this.#taker = taker
  }

  /** Takes what came. Throws on what is no frame; the connection is beyond help then. */
  push(bytes: Uint8Array): void {
    const { length } = bytes
    for (let at = 0; at < length; ) {
      if (this.#bodyLeft > 0) {
        const end = Math.min(length, at + this.#bodyLeft)
        this.#bodyLeft -= end - at
        this.#taker.body(at === 0 && end === length ? bytes : bytes.subarray(at, end))
        at = end
        if (this.#bodyLeft === 0) this.#taker.end()
      } else if (this.#have === 0 && length - at >= headerBytes) {
        this.#header(bytes, at)
        at += headerBytes
      } else {
        this.#partial[this.#have++] = bytes[at++] as number
        if (this.#have < headerBytes) continue
        this.#have = 0
        this.#header(this.#partial, 0)
      }
    }
  }

  #header(from: Uint8Array, at: number): void {
    if (from[at] !== 0) throw new Error('a yamux frame of an unknown version')
    const type = from[at + 1] as number
    const flag = from[at + 3] as number
    const length = uint32(from, at + 8)
    this.#taker.header(type, flag, uint32(from, at + 4), length)
    if (type !== frameTypes.data) return
    if (length === 0) this.#taker.end()
    this.#bodyLeft = length
  }
}

function uint32(from: Uint8Array, at: number): number {
  const low = ((from[at + 1] as number) << 16) | ((from[at + 2] as number) << 8) | (from[at + 3] as number)
  return (from[at] as number) * 0x1_00_00_00 + low
}
