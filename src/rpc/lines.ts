/**
 * Cuts a stream of bytes into lines. Memory: one unfinished line, at most `maxLineBytes` of it.
 */
const newline = 0x0a

export class LineCutter {
  readonly #maxLineBytes: number
  #pieces: Uint8Array[] = []
  #held = 0

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  /** Bytes of a line that has not ended yet. */
  get held(): number {
    return this.#held
  }

  /**
   * Takes bytes and returns the lines that they complete, each with its newline; undefined when a line is longer
   * than may be, after which nothing more may be given. Lines share memory with what was given.
   */
  take(bytes: Uint8Array): Uint8Array[] | undefined {
    const lines: Uint8Array[] = []
    let start = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      const line = this.#complete(bytes.subarray(start, end + 1))
      if (line.length > this.#maxLineBytes) return undefined
      lines.push(line)
      start = end + 1
    }
    if (start === bytes.length) return lines
    this.#pieces.push(bytes.subarray(start))
    this.#held += bytes.length - start
    return this.#held > this.#maxLineBytes ? undefined : lines
  }

  /** Returns what is left: a line without its newline, empty if there is none. */
  rest(): Uint8Array {
    return this.#complete(new Uint8Array())
  }

  #complete(last: Uint8Array): Uint8Array {
    if (this.#held === 0) return last
    const line = new Uint8Array(this.#held + last.length)
    let at = 0
    for (const piece of this.#pieces) {
      line.set(piece, at)
      at += piece.length
    }
    line.set(last, at)
    this.#pieces = []
    this.#held = 0
    return line
  }
}
