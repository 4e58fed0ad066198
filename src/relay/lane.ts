import type { MultihashKey } from '#src/bitswap/cid.ts'
import { maxEntriesPerMessage } from '#src/bitswap/protocol.ts'
import { encodeWants, type OutgoingWant } from '#src/bitswap/writer.ts'
import type { Ask } from '#src/relay/ask.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Link } from '#src/relay/ports.ts'

/**
 * One private identity towards one backend: to the backend a peer of its own, with a ledger of its own.
 * The lane keeps a mirror of that ledger, because a backend drops silently what goes beyond its 1,024.
 *
 * Invariant: at most `window` entries are in the backend's ledger; a CID appears once per message (the
 * order of a want and a cancel inside one message is not defined). Memory: what is asked for, which the
 * relay bounds; an ask leaves by block, cancel or loss of the lane.
 */
export class Lane {
  readonly backend: Backend
  readonly slot: number
  readonly #window: number
  #link: Link | undefined
  #queued: Ask[] = []
  readonly #sent = new Map<MultihashKey, Ask>()
  #cancels = new Map<MultihashKey, Ask>()

  constructor(backend: Backend, slot: number, window: number) {
    this.backend = backend
    this.slot = slot
    this.#window = window
  }

  get up(): boolean {
    return this.#link !== undefined
  }

  get outstanding(): number {
    return this.#sent.size + this.#queued.length
  }

  get hasRoom(): boolean {
    return this.up && this.outstanding < this.#window
  }

  connect(link: Link): void {
    this.#link = link
  }

  /** Forgets the link and returns the asks that were under way on it. */
  disconnect(): Ask[] {
    this.#link = undefined
    const asks = new Set(this.#queued)
    for (const ask of this.#sent.values()) if (this.#cancels.get(ask.multihash) !== ask) asks.add(ask)
    this.#queued = []
    this.#sent.clear()
    this.#cancels.clear()
    return [...asks]
  }

  /** Puts an ask on its way. */
  ask(ask: Ask): void {
    ask.lane = this
    ask.sentMs = undefined
    ask.slow = false
    ask.verdict = undefined
    this.#queued.push(ask)
    if (ask.again && !this.#sent.has(ask.multihash)) this.#cancels.set(ask.multihash, ask)
    this.#link?.wake()
  }

  /** Takes an ask back: silently if it was not sent, with a cancel if it was. */
  cancel(ask: Ask): void {
    const queuedAt = this.#queued.indexOf(ask)
    if (queuedAt >= 0) this.#queued.splice(queuedAt, 1)
    if (this.#sent.get(ask.multihash) !== ask) return
    this.#cancels.set(ask.multihash, ask)
    this.#link?.wake()
  }

  /** The block came, which ended it at the backend as well. */
  settled(ask: Ask): void {
    if (this.#sent.get(ask.multihash) === ask) this.#sent.delete(ask.multihash)
    else this.cancel(ask)
  }

  /** Returns the next message to send, or undefined when there is none now. */
  take(nowMs: number): Uint8Array | undefined {
    const wants: OutgoingWant[] = []
    const named = this.#cancels
    if (named.size > 0) {
      this.#cancels = new Map()
      for (const [key, ask] of named) {
        wants.push({ cid: ask.cid, kind: 'cancel', priority: 1 })
        if (this.#sent.get(key) === ask) this.#sent.delete(key)
      }
    }
    let taken = 0
    while (taken < this.#queued.length && wants.length < maxEntriesPerMessage) {
      const ask = this.#queued[taken] as Ask
      if (this.#sent.size >= this.#window || named.has(ask.multihash)) break
      ask.sentMs = nowMs
      this.#sent.delete(ask.multihash)
      this.#sent.set(ask.multihash, ask)
      wants.push({ cid: ask.cid, kind: ask.kind, priority: priorityOf(taken) })
      taken++
    }
    if (taken > 0) this.#queued = this.#queued.slice(taken)
    return wants.length === 0 ? undefined : encodeWants(wants)
  }

  /** Yields the asks that the backend has not answered, the oldest first. */
  *unanswered(): Generator<Ask> {
    for (const ask of this.#sent.values()) if (ask.verdict === undefined) yield ask
  }
}

/** Earlier is more urgent; a backend serves higher numbers first. */
function priorityOf(position: number): number {
  return maxEntriesPerMessage - position
}
