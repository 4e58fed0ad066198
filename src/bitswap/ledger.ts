import { type CidFault, type CidKey, type MultihashKey, type ParsedCid, parseCid } from '#src/bitswap/cid.ts'
import type { Message, WantEntry } from '#src/bitswap/message.ts'

/**
 * What one peer wants, kept up to date from its messages.
 *
 * Invariant: at most one want per CID; a want-block outranks a want-have of the same CID and is never
 * turned back into one; a full wantlist replaces everything. Memory: `capacity` wants; a want leaves by
 * cancel, by a full list without it, by its answer (`remove`) or with its peer (`clear`).
 */
export class Ledger<W extends Want> {
  readonly #wants = new Map<CidKey, W>()
  readonly #capacity: number
  readonly #tally: Tally

  constructor(capacity: number, tally: Tally) {
    this.#capacity = capacity
    this.#tally = tally
  }

  get size(): number {
    return this.#wants.size
  }

  has(want: W): boolean {
    return this.#wants.get(want.cid) === want
  }

  /** Takes a want out: it was answered. */
  remove(want: W): void {
    if (this.has(want)) this.#delete(want)
  }

  /** Takes everything out and returns it: the peer is gone. */
  clear(): W[] {
    const wants = [...this.#wants.values()]
    this.#tally.wants -= wants.length
    this.#wants.clear()
    return wants
  }

  /** Applies the wantlist of a message and tells `changes` about each difference, in the message's order. */
  apply(message: Message, changes: LedgerChanges<W>): void {
    const kept = message.full ? new Set<CidKey>() : undefined
    for (const entry of message.wants) {
      const cid = parseCid(entry.cid)
      if (typeof cid === 'string') {
        if (!entry.cancel) changes.refused(cid, entry, undefined)
        continue
      }
      if (entry.cancel) {
        const cancelled = this.#wants.get(cid.key)
        if (cancelled !== undefined) {
          this.#delete(cancelled)
          changes.cancelled(cancelled)
        }
        continue
      }
      kept?.add(cid.key)
      this.#want(entry, cid, changes)
    }
    if (kept === undefined) return
    for (const [key, want] of this.#wants) {
      if (kept.has(key)) continue
      this.#delete(want)
      changes.cancelled(want)
    }
  }

  #want(entry: WantEntry, cid: ParsedCid, changes: LedgerChanges<W>): void {
    const known = this.#wants.get(cid.key)
    if (known !== undefined) {
      const upgraded = !entry.have && !known.block
      known.block ||= !entry.have
      known.priority = entry.priority
      known.sendDontHave = entry.sendDontHave
      changes.repeated(known, upgraded)
      return
    }
    if (this.#wants.size >= this.#capacity && !changes.makeRoom()) {
      changes.refused('too-many-wants', entry, cid)
      return
    }
    const want = changes.create(entry, cid)
    if (want !== undefined) {
      this.#wants.set(cid.key, want)
      this.#tally.wants++
      changes.added(want)
    }
  }

  #delete(want: W): void {
    this.#wants.delete(want.cid)
    this.#tally.wants--
  }
}

/** Wants in all ledgers that share it. */
export interface Tally {
  wants: number
}

/** One entry of a peer's wantlist. */
export interface Want {
  readonly cid: CidKey
  readonly multihash: MultihashKey
  /** The block itself, not only its presence. */
  block: boolean
  priority: number
  sendDontHave: boolean
}

/** What a message changed in a ledger. */
export interface LedgerChanges<W extends Want> {
  /** Returns the want to keep for a new entry, or undefined when it is refused (and counted) elsewhere. */
  create(entry: WantEntry, cid: ParsedCid): W | undefined
  added(want: W): void
  /** The peer named a want again that it had; `upgraded`: from want-have to want-block. */
  repeated(want: W, upgraded: boolean): void
  cancelled(want: W): void
  /** The ledger is full: takes out a want that matters least, if there is one. */
  makeRoom(): boolean
  refused(reason: CidFault | 'too-many-wants', entry: WantEntry, cid: ParsedCid | undefined): void
}
