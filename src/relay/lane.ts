import type { MultihashKey } from '#src/bitswap/cid.ts'
import { maxEntriesPerMessage } from '#src/bitswap/protocol.ts'
import { encodeWants, type OutgoingWant } from '#src/bitswap/writer.ts'
import type { Ask } from '#src/relay/ask.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import { Outbox } from '#src/relay/outbox.ts'
import type { Link } from '#src/relay/ports.ts'
import { CappedMap } from '#src/util/capped-map.ts'
import type { Body } from '#src/util/pieces.ts'

/** Priorities are int32 on the wire. */
const highestPriority = 0x7fff_ffff

/**
 * One private identity towards one backend: to the backend a peer of its own, with a ledger of its own.
 * The lane keeps a mirror of that ledger, because a backend drops silently what goes beyond its 1,024.
 *
 * Invariant: at most `window` entries are in the backend's ledger; a CID appears once per message (the
 * order of a want and a cancel inside one message is not defined). Memory: what is asked for, which the
 * relay bounds; an ask leaves by block, cancel or loss of the lane. Blocks for the backend: what `Sourcing` lets
 * clients owe.
 */
export class Lane {
  readonly backend: Backend
  readonly slot: number
  readonly #window: number
  #link: Link | undefined
  readonly #queued = new Set<Ask>()
  /** Sent as want-have, answered, and now to be asked for the block: they are in the ledger already. */
  readonly #upgrades = new Set<Ask>()
  /** The mirror, by the time of sending. */
  readonly #sent = new Map<MultihashKey, Ask>()
  readonly #cancels = new Map<MultihashKey, Ask>()
  /** What was taken back after it was sent: its block may cross the cancel. */
  readonly #takenBack: CappedMap<MultihashKey, true>
  /** Blocks that the backend asked us for, on their way to it. */
  readonly supplies: Outbox
  #priority = highestPriority

  constructor(backend: Backend, slot: number, window: number, supplies: Buffers) {
    this.backend = backend
    this.supplies = new Outbox(supplies)
    this.slot = slot
    this.#window = window
    this.#takenBack = new CappedMap(4 * window)
  }

  get up(): boolean {
    return this.#link !== undefined
  }

  get outstanding(): number {
    return this.#sent.size + this.#queued.size
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
    this.supplies.clear()
    const asks = this.unsend()
    for (const ask of this.#sent.values()) if (this.#cancels.get(ask.multihash) !== ask) asks.push(ask)
    this.#upgrades.clear()
    this.#sent.clear()
    this.#cancels.clear()
    return asks
  }

  /** Returns the asks that were not sent yet, and forgets them. */
  unsend(): Ask[] {
    const asks = [...this.#queued]
    this.#queued.clear()
    return asks
  }

  /** Puts an ask on its way. */
  ask(ask: Ask, nowMs: number): void {
    ask.lane = this
    ask.slow = false
    ask.verdict = undefined
    if (this.#sent.get(ask.multihash) === ask) {
      this.#upgrades.add(ask)
      this.#mirror(ask, nowMs)
    } else {
      ask.sentMs = undefined
      this.#queued.add(ask)
      if (ask.again && !this.#sent.has(ask.multihash)) this.#cancels.set(ask.multihash, ask)
    }
    this.#link?.wake()
  }

  /** Sends a block that the backend wants; `prefix` is that of the CID it asked by. */
  supply(prefix: string, bytes: Body): void {
    this.supplies.addBlock(prefix, bytes)
    this.#link?.wake()
  }

  /** Takes an ask back: silently if it was not sent, with a cancel if it was. */
  cancel(ask: Ask): void {
    this.#queued.delete(ask)
    this.#upgrades.delete(ask)
    if (this.#sent.get(ask.multihash) !== ask) return
    this.#cancels.set(ask.multihash, ask)
    this.#takenBack.set(ask.multihash, true)
    this.#link?.wake()
  }

  /** Whether a block that nobody waits for may be one that was asked for here until lately. */
  tookBack(key: MultihashKey): boolean {
    return this.#takenBack.peek(key) !== undefined
  }

  /** The block came, which ended it at the backend as well. */
  settled(ask: Ask): void {
    this.#queued.delete(ask)
    this.#upgrades.delete(ask)
    if (this.#sent.get(ask.multihash) === ask) this.#sent.delete(ask.multihash)
  }

  /** Returns the next message to send, or undefined when there is none now. */
  take(nowMs: number): Uint8Array | undefined {
    const wants: OutgoingWant[] = []
    const named = new Set<MultihashKey>()
    for (const [key, ask] of this.#cancels) {
      if (wants.length >= maxEntriesPerMessage) break
      wants.push({ cid: ask.cid, kind: 'cancel', priority: 1 })
      named.add(key)
      this.#cancels.delete(key)
      if (this.#sent.get(key) === ask) this.#sent.delete(key)
    }
    // Upgrades come first and need no room: behind wants that wait for room they could wait for each other.
    for (const from of [this.#upgrades, this.#queued]) {
      for (const ask of from) {
        if (wants.length >= maxEntriesPerMessage) break
        if (from === this.#queued && this.#sent.size >= this.#window) break
        if (named.has(ask.multihash) || this.#cancels.has(ask.multihash)) break
        from.delete(ask)
        this.#mirror(ask, nowMs)
        wants.push({ cid: ask.cid, kind: ask.kind, priority: this.#nextPriority() })
      }
    }
    return wants.length === 0 ? undefined : encodeWants(wants)
  }

  /**
   * A backend serves higher numbers first, so each want gets one less than the one before: in the order of
   * sending. Equal ones, or a new start with each message, let late wants overtake early ones for ever.
   */
  #nextPriority(): number {
    this.#priority = this.#priority > 1 ? this.#priority - 1 : highestPriority
    return this.#priority
  }

  #mirror(ask: Ask, nowMs: number): void {
    ask.sentMs = nowMs
    this.#sent.delete(ask.multihash)
    this.#sent.set(ask.multihash, ask)
  }

  /** Yields the asks that the backend has not answered, the oldest first. */
  *unanswered(): Generator<Ask> {
    for (const ask of this.#sent.values()) if (ask.verdict === undefined) yield ask
  }
}
