/**
 * The lines of one refs answer, read by every caller at its own pace.
 *
 * Invariant: every reader gets every line once and in order; lines that a second backend repeats after the
 * first was lost are not passed on again. Memory: `mostBytes` and what came after it was told to pause; what all
 * have read is kept up to that size, so that a late caller still gets the whole.
 */

/** Some 3,800 lines as Kubo writes them: the links of a gigabyte. */
const mostBytes = 256 * 1024

/** One caller's place in the stream. */
export interface Reader {
  /** Lines that it has read. */
  read: number
}

export class RefsStream {
  readonly #lines: Uint8Array[] = []
  readonly #readers = new Set<Reader>()
  /** Lines that are not kept any more. */
  #dropped = 0
  #bytes = 0
  /** Lines still to come that were passed on before. */
  #repeated = 0
  /** A second backend did not say what the first said. */
  differs = false

  /** Lines so far. */
  get length(): number {
    return this.#dropped + this.#lines.length
  }

  /** Whether a new caller can still get the whole of it. */
  get whole(): boolean {
    return this.#dropped === 0
  }

  get readers(): number {
    return this.#readers.size
  }

  /** Whether the backend that speaks now has not said yet what was passed on before. */
  get isBehind(): boolean {
    return this.#repeated > 0
  }

  /** Whether more should come. */
  get hasRoom(): boolean {
    return this.#bytes < mostBytes
  }

  join(): Reader {
    const reader = { read: 0 }
    this.#readers.add(reader)
    return reader
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader)
    this.#trim()
  }

  /** Adds lines; returns whether there is room for more. */
  append(lines: readonly Uint8Array[]): boolean {
    for (const line of lines) {
      if (this.#repeated > 0) {
        this.#checkRepeated(line)
        continue
      }
      this.#lines.push(line)
      this.#bytes += line.length
    }
    this.#trim()
    return this.hasRoom
  }

  /** Another backend begins anew: its first lines are those that were passed on already. */
  restart(): void {
    this.#repeated = this.length
  }

  /** Returns what a caller has not read yet, and takes it as read. */
  take(reader: Reader): Uint8Array[] {
    const lines = this.#lines.slice(reader.read - this.#dropped)
    reader.read += lines.length
    this.#trim()
    return lines
  }

  hasMore(reader: Reader): boolean {
    return reader.read < this.length
  }

  #checkRepeated(line: Uint8Array): void {
    const before = this.#lines[this.length - this.#repeated - this.#dropped]
    this.#repeated--
    if (before !== undefined && !equal(before, line)) this.differs = true
  }

  /** Lets go of what everyone has read, once it is more than is kept for late callers. */
  #trim(): void {
    if (this.#bytes < mostBytes) return
    let read = this.length
    for (const reader of this.#readers) read = Math.min(read, reader.read)
    for (const line of this.#lines.splice(0, read - this.#dropped)) this.#bytes -= line.length
    this.#dropped = read
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}
