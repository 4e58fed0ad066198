import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import { maxEntriesPerMessage } from '#src/bitswap/protocol.ts'
import { encodeWants, type OutgoingWant } from '#src/bitswap/writer.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import type { Link } from '#src/relay/ports.ts'
import type { Pull } from '#src/relay/preload/pull.ts'
import { CappedMap } from '#src/util/capped-map.ts'

/** What one client was asked for one block. */
export interface ClientAsk {
  readonly pull: Pull
  readonly kind: 'block' | 'have'
  readonly sentMs: number
  /** It was asked for the same before, and remembers that. */
  readonly again: boolean
  verdict: 'have' | 'dont-have' | undefined
  /** Unanswered for so long that others are asked too; the block may still come. */
  slow: boolean
  /** Set aside for the block while it is waited for. */
  readonly owedBytes: number
}

/** Blocks that one client may owe at once: as many as `windowBytes` are likely to be. */
const windowBytes = 8 * 1024 * 1024
const mostOpen = 256
const leastOpen = 4
/** With those that nobody waits for. Clients of boxo's kind keep 1,024 wants of one peer. */
const mostAsks = 768
const firstBlockBytes = 256 * 1024
const leastBlockBytes = 4 * 1024
/** Blocks that are not what they should be, before nothing is asked of a client any more. */
const mostLies = 8
const mostPast = 1_024
const priority = 1

/**
 * One client as a source of blocks: what it was asked for, and what it is to be told.
 *
 * Invariant: `asks` mirrors what the client keeps of our wants, but for cancels that are still to be sent; `open`
 * counts the asks for a block that are neither answered nor slow, and their bytes are set aside. Memory: `mostAsks`
 * asks, the pulls that stand in line for it (each in one line only), one entry per ask to be sent or taken back.
 */
export class Supplier {
  readonly addresses = new Set<string>()
  readonly asks = new Map<MultihashKey, ClientAsk>()
  /** Pulls that ask it when it has room. */
  readonly line = new Set<Pull>()
  /** It was seen to tell what it has, so it is asked before anything is pulled. */
  tellsPresence = false
  /** When it was last heard. */
  heardMs = Number.NEGATIVE_INFINITY
  lies = 0
  gone = false
  open = 0
  #owedBytes = 0
  readonly #link: Link
  readonly #supplies: Buffers
  readonly #outgoing = new Map<CidKey, OutgoingWant['kind']>()
  /** Asks that nobody waits for: slow ones, and those that were denied. */
  readonly #unwaited = new Set<ClientAsk>()
  /** Asks that became slow since it was last heard: a page in the background is not asked for ever more. */
  #unheard = 0
  /** What it was asked for until lately: a block of these is late or a second one, not a wrong one. */
  readonly #past = new CappedMap<MultihashKey, true>(mostPast)
  #blockBytes = firstBlockBytes

  constructor(link: Link, supplies: Buffers) {
    this.#link = link
    this.#supplies = supplies
  }

  /** Whether it may be asked at all. */
  get usable(): boolean {
    return !this.gone && this.lies < mostLies
  }

  /** Whether it can take one more ask for a block. */
  get hasRoom(): boolean {
    if (!this.hasPlace) return false
    if (this.open < leastOpen) return true
    return this.open + this.#unheard < mostOpen && this.#owedBytes + this.#blockBytes <= windowBytes
  }

  /** Whether it can take one more ask of any kind: it keeps so many, unless some are in vain. */
  get hasPlace(): boolean {
    return this.asks.size < mostAsks || this.#unwaited.size > 0
  }

  /** Takes back the oldest ask in vain where one more would be too many; returns the pull that it was for. */
  makePlace(): Pull | undefined {
    const [oldest] = this.#unwaited
    if (this.asks.size < mostAsks || oldest === undefined) return undefined
    this.cancel(oldest)
    return oldest.pull
  }

  /** Asks for a block, or whether it is there. */
  ask(pull: Pull, kind: ClientAsk['kind'], nowMs: number): ClientAsk {
    const earlier = this.asks.get(pull.multihash)
    if (earlier !== undefined) this.#close(earlier)
    // A cancel that was not sent is not sent any more, but the client still has the want.
    const again = earlier !== undefined || this.#outgoing.get(pull.cid) === 'cancel'
    const owedBytes = kind === 'block' ? this.#blockBytes : 0
    const ask: ClientAsk = { pull, kind, sentMs: nowMs, again, owedBytes, verdict: undefined, slow: false }
    this.asks.set(pull.multihash, ask)
    pull.asks.set(this, ask)
    if (kind === 'block') this.open++
    this.#owe(owedBytes)
    this.#outgoing.set(pull.cid, kind)
    this.#link.wake()
    return ask
  }

  /** It answered, or is not waited for any longer. */
  answered(ask: ClientAsk, verdict: ClientAsk['verdict']): void {
    this.#close(ask)
    ask.verdict = verdict
    if (verdict === 'dont-have') this.#unwaited.add(ask)
  }

  /** It gave a sign of life. */
  heard(nowMs: number): void {
    this.heardMs = nowMs
    this.#unheard = 0
  }

  /** It takes too long: it does not keep others from being asked, nor, if it is alive, itself from being asked for more. */
  tooSlow(ask: ClientAsk): void {
    this.#close(ask)
    ask.slow = true
    this.#unheard++
    this.#unwaited.add(ask)
  }

  /** Takes an ask back. A client that was told remembers a want, so it is told as well. */
  cancel(ask: ClientAsk): void {
    this.#forget(ask)
    if (this.#outgoing.has(ask.pull.cid) && !ask.again) {
      this.#outgoing.delete(ask.pull.cid)
      return
    }
    this.#outgoing.set(ask.pull.cid, 'cancel')
    this.#link.wake()
  }

  /** The block came from here, which ended it at the client as well. */
  delivered(ask: ClientAsk, bytes: number): void {
    this.#forget(ask)
    this.#outgoing.delete(ask.pull.cid)
    this.#blockBytes = Math.max(leastBlockBytes, Math.ceil(this.#blockBytes * 0.875 + bytes * 0.125))
  }

  /** Whether it was asked for a block before, and is not any more. */
  wasAsked(key: MultihashKey): boolean {
    return this.#past.peek(key) !== undefined
  }

  /** Returns the next message with wants and cancels, or undefined when there are none. */
  take(): Uint8Array | undefined {
    if (this.#outgoing.size === 0) return undefined
    const wants: OutgoingWant[] = []
    for (const [cid, kind] of this.#outgoing) {
      if (wants.length >= maxEntriesPerMessage) break
      this.#outgoing.delete(cid)
      wants.push({ cid, kind, priority })
    }
    return encodeWants(wants)
  }

  /** The client is gone: forgets everything and returns the pulls that asked it or stood in line for it. */
  leave(): Pull[] {
    this.gone = true
    const pulls = [...[...this.asks.values()].map(({ pull }) => pull), ...this.line]
    for (const pull of pulls) {
      pull.asks.delete(this)
      if (pull.standsAt === this) pull.standsAt = undefined
    }
    this.asks.clear()
    this.line.clear()
    this.#outgoing.clear()
    this.#unwaited.clear()
    this.open = 0
    this.#owe(-this.#owedBytes)
    return pulls
  }

  #owe(bytes: number): void {
    this.#owedBytes += bytes
    this.#supplies.reservedBytes += bytes
  }

  /** Ends the waiting for an ask, if it was waited for. */
  #close(ask: ClientAsk): void {
    this.#unwaited.delete(ask)
    if (ask.kind !== 'block' || ask.verdict !== undefined || ask.slow) return
    this.open--
    this.#owe(-ask.owedBytes)
  }

  #forget(ask: ClientAsk): void {
    this.#close(ask)
    ask.pull.asks.delete(this)
    this.asks.delete(ask.pull.multihash)
    this.#past.set(ask.pull.multihash, true)
  }
}
