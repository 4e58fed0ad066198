/**
 * Puts the first messages of a stream in order. Two threads of libdatachannel hand over what came before a channel had
 * its handler, and each takes a message from the queue before it says so: of one stream in some ten thousand the second
 * message comes before the first (its `Channel::flushPendingMessages`). What a stream begins with is known, so the
 * message that belongs in front is too.
 *
 * Invariant: nothing is lost, and what comes in an order that is possible is never held. Memory: `maxHeld` messages and
 * `maxHeldBytes`; what is more is let through as it came.
 */

import { type Cursor, readVarint } from '#src/util/bytes.ts'

const maxHeld = 8
const maxHeldBytes = 64 * 1024
/** What whoever opens a stream says first (multistream-select 1.0). */
const header = Buffer.from('\x13/multistream/1.0.0\n')
const maxLengthBytes = 3
/** Of a message, to tell whether it begins a stream. */
const enough = 2 * maxLengthBytes + 1 + header.length

export class Opening {
  /** What was let through while it may still be something else than a beginning. */
  #begun: Uint8Array = new Uint8Array(0)
  #held: Uint8Array[] = []
  #heldBytes = 0
  #over = false

  /** The stream has begun: whatever comes now is in order. */
  get over(): boolean {
    return this.#over
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Takes a message as it came, and returns those that may be read now, in the order in which they were sent. */
  push(message: Uint8Array): Uint8Array[] {
    if (this.#over) return [message]
    this.#held.push(message)
    this.#heldBytes += message.length
    const inOrder = this.#possible()
    if (inOrder === undefined && this.#held.length < maxHeld && this.#heldBytes < maxHeldBytes) return []
    const through = inOrder ?? this.#held
    if (inOrder === undefined) this.#over = true
    this.#held = []
    this.#heldBytes = 0
    return through
  }

  /** Returns what is held in an order that is possible: as it came, or with one of them in front. */
  #possible(): Uint8Array[] | undefined {
    for (const first of this.#held) {
      const order = [first, ...this.#held.filter((message) => message !== first)]
      const all = Buffer.concat([this.#begun, ...order.map((message) => message.subarray(0, enough))])
      const begins = beginning(all)
      if (begins === 'yes') this.#over = true
      // That a length alone fits in front says little: lengths come with every message.
      if (begins === 'yes' || (begins === 'so far' && first === this.#held[0])) {
        this.#begun = all
        return order
      }
    }
    return undefined
  }
}

/** Whether a stream begins with these bytes: a message that has a flag, or the header, as far as it has data. */
function beginning(bytes: Uint8Array): 'yes' | 'so far' | 'no' {
  const cursor: Cursor = { at: 0 }
  const length = readVarint(bytes, cursor, Math.min(bytes.length, maxLengthBytes))
  if (length < 0) return bytes.length < maxLengthBytes ? 'so far' : 'no'
  if (cursor.at === bytes.length) return 'so far'
  const key = bytes[cursor.at++]
  if (key === 0x08) return 'yes'
  if (key !== 0x12) return 'no'
  const from = cursor.at
  const size = readVarint(bytes, cursor, Math.min(bytes.length, from + maxLengthBytes))
  if (size < 0) return bytes.length < from + maxLengthBytes ? 'so far' : 'no'
  const data = bytes.subarray(cursor.at, cursor.at + Math.min(size, header.length))
  if (size > length || !header.subarray(0, data.length).equals(data)) return 'no'
  return data.length === Math.min(size, header.length) ? 'yes' : 'so far'
}
