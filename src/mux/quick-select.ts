/**
 * multistream-select in one look: a stream whose first frame asks for a protocol that is served here is answered and
 * handed over at once. boxo and go-libp2p open a stream for every message, and the library's negotiation costs more than
 * the message. Whatever is not just that is the library's.
 *
 * Invariant: the bytes are those of multistream-select (specs/connections). Memory: the streams that said nothing yet.
 */

import type { YamuxStream } from '#src/mux/yamux-stream.ts'

export type QuickHandler = (stream: YamuxStream) => void

const greeting = line('/multistream/1.0.0')

/** Whose first frame is that long says more than fits the window it knows of, as a rule. */
const bulkBytes = 60 * 1024

/** Longer names are the library's. */
const maxLineBytes = 127

/** What is answered, by the bytes that ask for it. */
type Served = ReadonlyMap<string, { readonly protocol: string; readonly answer: Uint8Array }>

/** One table for all connections that serve the same list. */
const tables = new WeakMap<readonly string[], Served>()

function servedBy(protocols: readonly string[]): Served {
  const known = tables.get(protocols)
  if (known !== undefined) return known
  const table: Served = new Map(
    protocols.map((protocol) => {
      const asked = line(protocol)
      return [asked.toString('latin1'), { protocol, answer: Buffer.concat([greeting, asked]) }]
    }),
  )
  tables.set(protocols, table)
  return table
}

export class QuickSelect {
  #served: Served = new Map()
  readonly #waiting = new Map<YamuxStream, number>()
  #handler: QuickHandler | undefined

  get serving(): boolean {
    return this.#handler !== undefined
  }

  serve(protocols: readonly string[], handler: QuickHandler): void {
    this.#handler = handler
    this.#served = servedBy(protocols)
  }

  /** A stream that has said nothing yet. */
  wait(stream: YamuxStream, nowMs: number): void {
    this.#waiting.set(stream, nowMs)
  }

  /** Whether the stream is still to be selected. */
  waits(stream: YamuxStream): boolean {
    return this.#waiting.has(stream)
  }

  forget(stream: YamuxStream): void {
    this.#waiting.delete(stream)
  }

  /** Returns those that have said nothing since `sinceMs`. */
  silentSince(sinceMs: number): YamuxStream[] {
    const silent: YamuxStream[] = []
    for (const [stream, openedMs] of this.#waiting) {
      if (openedMs > sinceMs) break
      silent.push(stream)
    }
    return silent
  }

  /** Looks at what a stream has said; false if it is for the library, with nothing taken from it. */
  select(stream: YamuxStream): boolean {
    this.#waiting.delete(stream)
    const wanted = this.#askedFor(stream)
    if (wanted === undefined || this.#handler === undefined) return false
    stream.skip(wanted.answer.length)
    stream.protocol = wanted.protocol
    stream.send(wanted.answer)
    if (stream.readBufferLength >= bulkBytes) stream.hurry()
    try {
      this.#handler(stream)
    } catch (error) {
      stream.abort(error as Error)
    }
    return true
  }

  #askedFor(stream: YamuxStream): { protocol: string; answer: Uint8Array } | undefined {
    const said = stream.peek(greeting.length + 1 + maxLineBytes)
    if (!greeting.equals(said.subarray(0, greeting.length))) return undefined
    const length = said[greeting.length]
    if (length === undefined || length > maxLineBytes) return undefined
    const asked = said.subarray(greeting.length, greeting.length + 1 + length)
    return this.#served.get(Buffer.from(asked.buffer, asked.byteOffset, asked.length).toString('latin1'))
  }
}

/** Returns a message of multistream-select: its length, the text and a line feed. */
function line(text: string): Buffer {
  return Buffer.from(`${String.fromCharCode(text.length + 1)}${text}\n`, 'latin1')
}
