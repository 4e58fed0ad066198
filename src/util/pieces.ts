/**
 * Bytes in the pieces in which they came. Joining those of a large block costs as much as decrypting them, and all that is
 * ever done with one is to hash it and to pass it on.
 *
 * Memory: a piece keeps the whole buffer that it is a view of, which is at most `mostKept` times as large; there are at most
 * `mostPieces` of them.
 */

export type Body = Uint8Array | Pieces

export class Pieces implements Iterable<Uint8Array> {
  readonly byteLength: number
  readonly #pieces: readonly Uint8Array[]

  /** `byteLength` is that of all pieces. */
  constructor(pieces: readonly Uint8Array[], byteLength: number) {
    this.#pieces = pieces
    this.byteLength = byteLength
  }

  [Symbol.iterator](): Iterator<Uint8Array> {
    return this.#pieces[Symbol.iterator]()
  }
}

const smallPieceBytes = 4096
/** What bulk transfers bring, frames of 64 KiB in reads of 512 KiB, is not copied. */
const mostKept = 8
const mostPieces = 1024

/** Collects what comes piece by piece. */
export class Gathering {
  #pieces: Uint8Array[] = []
  byteLength = 0

  /** Takes a piece, which nobody may change any more. */
  add(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#pieces.push(keepsMuch(piece) ? new Uint8Array(piece) : piece)
    this.byteLength += piece.length
    if (this.#pieces.length >= mostPieces) this.#pieces = [this.joined()]
  }

  /** Returns all of it so far, as it came. */
  body(): Body {
    const [first, second] = this.#pieces
    return first !== undefined && second === undefined
      ? first
      : new Pieces(this.#pieces.slice(), this.byteLength)
  }

  /** Returns all of it in one piece. */
  joined(): Uint8Array {
    return joined(this.body())
  }
}

/** Returns it in one piece, copied only if it is in several. */
export function joined(body: Body): Uint8Array {
  if (body instanceof Uint8Array) return body
  return fill(new Uint8Array(body.byteLength), body)
}

/** Writes the pieces into `whole`, one behind the other, and returns that. */
export function fill(whole: Uint8Array, pieces: Iterable<Uint8Array>): Uint8Array {
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Returns it in one piece that keeps nothing else. */
export function copyOf(body: Body): Uint8Array {
  return body instanceof Uint8Array ? new Uint8Array(body) : joined(body)
}

/** Calls `take` for each piece, in order. */
export function eachPiece(bytes: Uint8Array | Iterable<Uint8Array>, take: (piece: Uint8Array) => void): void {
  if (bytes instanceof Uint8Array) take(bytes)
  else for (const piece of bytes) take(piece)
}

/** Returns how much memory it keeps: its buffers, with what else is in them. */
export function keptBytes(body: Body): number {
  let kept = 0
  let last: ArrayBufferLike | undefined
  eachPiece(body, ({ buffer }) => {
    // Neighbours are often views of the same one.
    if (buffer !== last) kept += buffer.byteLength
    last = buffer
  })
  return kept
}

function keepsMuch(piece: Uint8Array): boolean {
  return piece.length < smallPieceBytes || piece.length * mostKept < piece.buffer.byteLength
}
