import type { Buffers } from '#src/relay/buffers.ts'
import type { Counters } from '#src/relay/counters.ts'
import type { Clock } from '#src/relay/ports.ts'
import type { Grant } from '#src/relay/preload/grant.ts'
import type { Grants } from '#src/relay/preload/grants.ts'
import type { Pull } from '#src/relay/preload/pull.ts'
import type { ClientAsk, Supplier } from '#src/relay/preload/supplier.ts'

/**
 * Which client is asked for a block, and when the next one is. Who brought the last block of a DAG is asked
 * first. Else those who tell what they have are asked that; the others (js-ipfs) are asked for the block, one
 * after the other, so that no block is fetched twice.
 *
 * Invariant: a client is asked for what a grant of its own address covers, nothing else; a pull has an unanswered
 * ask that is not slow, or stands in one line, or is being looked at again, or has nobody left to ask. Memory: entries
 * for pulls and for connected clients.
 */

export interface SourcingDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly grants: Grants
  /** What backends are still to be sent, and what clients still owe. */
  readonly supplies: Buffers
}

/** Before the next client is asked as well: a page answers within a few of these. */
const staggerMs = 250
/** So many are asked one by one; then twice as many each time, or the last of a large office waits for minutes. */
const oneByOne = 4
/** One that brought the last block, or the only one, and says nothing for so long may be gone without a word. */
const silentMs = 5_000
/** A client that said it has not got it is asked again after this: it may still be adding it. */
const againMs = 5_000

export class Sourcing {
  readonly #deps: SourcingDeps
  readonly #suppliers = new Map<string, Set<Supplier>>()
  /** Pulls that are to be looked at again. */
  readonly #timed = new Set<Pull>()
  /** Clients with a line. */
  readonly #lines = new Set<Supplier>()

  constructor(deps: SourcingDeps) {
    this.#deps = deps
  }

  /** Pulls and clients it keeps anything for; for tests. */
  get size(): number {
    return this.#timed.size + this.#lines.size + this.#suppliers.size
  }

  /** A client is at an address now: it may have what is waited for there. */
  arrived(supplier: Supplier, address: string): void {
    supplier.addresses.add(address)
    const there = this.#suppliers.get(address) ?? new Set()
    this.#suppliers.set(address, there.add(supplier))
    for (const grant of this.#deps.grants.at(address)) for (const pull of grant.pulls) this.advance(pull)
  }

  /** A client is not at an address any more; what it was asked there it may still bring. */
  departed(supplier: Supplier, address: string): void {
    supplier.addresses.delete(address)
    const there = this.#suppliers.get(address)
    there?.delete(supplier)
    if (there?.size === 0) this.#suppliers.delete(address)
  }

  /** A client is gone: what it was asked for is asked of others. */
  left(supplier: Supplier): void {
    for (const address of [...supplier.addresses]) this.departed(supplier, address)
    this.#lines.delete(supplier)
    for (const pull of supplier.leave()) this.advance(pull)
  }

  /** A client said whether it has a block. */
  presence(pull: Pull, supplier: Supplier, have: boolean): void {
    supplier.tellsPresence = true
    const ask = pull.asks.get(supplier)
    if (ask === undefined || (have && ask.kind === 'block')) return
    supplier.answered(ask, have ? 'have' : 'dont-have')
    this.advance(pull)
    this.#moveUp(supplier)
  }

  /** A client brought a block that it was asked for; its pull is about to end. */
  delivered(pull: Pull, supplier: Supplier, bytes: number): void {
    const ask = pull.asks.get(supplier)
    if (ask !== undefined) supplier.delivered(ask, bytes)
    for (const grant of pull.grants) if (isAt(grant, supplier)) grant.source = supplier
  }

  /** A client was heard: it may have room again. */
  heard(supplier: Supplier): void {
    supplier.heard(this.#deps.clock.now())
    this.#moveUp(supplier)
  }

  /** Does what is to be done next for a pull; nothing while somebody is likely to bring it. */
  advance(pull: Pull): void {
    if (pull.standsAt !== undefined && mayBeAsked(pull, pull.standsAt)) return
    leaveLine(pull)
    const nowMs = this.#deps.clock.now()
    for (const ask of pull.asks.values()) if (ask.kind === 'block' && isOpen(ask)) return this.#look(pull)
    for (const [supplier, ask] of pull.asks) {
      if (ask.verdict === 'have' && supplier.usable) return this.#askForBlock(pull, supplier, nowMs)
    }
    for (const { source } of pull.grants) {
      if (source === undefined || pull.asks.has(source) || !mayBeAsked(pull, source)) continue
      return this.#askForBlock(pull, source, nowMs)
    }
    const next: Supplier[] = []
    let candidates = 0
    for (const supplier of this.#candidates(pull)) {
      candidates++
      if (!pull.asks.has(supplier)) next.push(supplier)
    }
    const [first] = next
    if (candidates === 1 && first !== undefined) return this.#askForBlock(pull, first, nowMs)
    for (const supplier of next) {
      if (supplier.tellsPresence && supplier.hasPlace) this.#ask(pull, supplier, 'have', nowMs)
    }
    const batch = pull.tries < oneByOne ? 1 : 2 ** (pull.tries - oneByOne + 1)
    const silent = next.filter((supplier) => !supplier.tellsPresence).slice(0, batch)
    for (const supplier of silent) this.#askForBlock(pull, supplier, nowMs)
    // None of them has a place.
    if (pull.asks.size === 0 && first !== undefined) return this.#askForBlock(pull, first, nowMs)
    this.#look(pull)
  }

  /** Some of those who were asked may not be any more. */
  review(pull: Pull): void {
    for (const [supplier, ask] of [...pull.asks]) if (!mayBeAsked(pull, supplier)) supplier.cancel(ask)
    this.advance(pull)
  }

  /** A pull is over: whoever was asked is told. */
  end(pull: Pull): void {
    this.#timed.delete(pull)
    leaveLine(pull)
    for (const [supplier, ask] of [...pull.asks]) {
      supplier.cancel(ask)
      this.#moveUp(supplier)
    }
  }

  /** Looks at pulls whose time has come, and lets lines move up. */
  tick(nowMs: number): void {
    for (const pull of [...this.#timed]) if (pull.lookMs <= nowMs) this.#lookAgain(pull, nowMs)
    for (const supplier of [...this.#lines]) this.#moveUp(supplier)
  }

  /** Who may have it; the latest to come is the most likely to have just added something. */
  *#candidates(pull: Pull): Generator<Supplier> {
    const seen = new Set<Supplier>()
    for (const grant of pull.grants) {
      for (const { address } of grant.accounts.keys()) {
        for (const supplier of [...(this.#suppliers.get(address) ?? [])].reverse()) {
          if (!supplier.usable || seen.has(supplier)) continue
          seen.add(supplier)
          yield supplier
        }
      }
    }
  }

  #askForBlock(pull: Pull, supplier: Supplier, nowMs: number): void {
    if (supplier.hasRoom && this.#deps.supplies.freeBytes > 0) {
      pull.tries++
      this.#ask(pull, supplier, 'block', nowMs)
      this.#look(pull)
      return
    }
    if (pull.standsAt !== undefined) return
    pull.standsAt = supplier
    supplier.line.add(pull)
    this.#lines.add(supplier)
  }

  #ask(pull: Pull, supplier: Supplier, kind: ClientAsk['kind'], nowMs: number): void {
    this.#deps.counters.clientAsks++
    const dropped = pull.asks.has(supplier) ? undefined : supplier.makePlace()
    if (dropped !== undefined) this.#lookAt(dropped, Math.min(dropped.lookMs, nowMs + againMs))
    supplier.ask(pull, kind, nowMs)
  }

  /** Sets when a pull is looked at again: when the last one asked has had its time, or others may have a place. */
  #look(pull: Pull): void {
    const others = this.#hasOthers(pull)
    let lookMs = others ? this.#deps.clock.now() + againMs : Number.POSITIVE_INFINITY
    for (const [supplier, ask] of pull.asks) {
      lookMs = Math.min(lookMs, patience(pull, supplier, ask, others))
    }
    this.#lookAt(pull, lookMs)
  }

  #lookAt(pull: Pull, lookMs: number): void {
    pull.lookMs = lookMs
    if (lookMs < Number.POSITIVE_INFINITY) this.#timed.add(pull)
    else this.#timed.delete(pull)
  }

  /** Whether somebody is left: who was not asked, or says that it is there. */
  #hasOthers(pull: Pull): boolean {
    for (const { verdict } of pull.asks.values()) if (verdict === 'have') return true
    for (const supplier of this.#candidates(pull)) if (!pull.asks.has(supplier)) return true
    return false
  }

  #lookAgain(pull: Pull, nowMs: number): void {
    const others = this.#hasOthers(pull)
    for (const [supplier, ask] of [...pull.asks]) {
      if (patience(pull, supplier, ask, others) > nowMs) continue
      if (ask.verdict === 'dont-have') supplier.cancel(ask)
      else supplier.tooSlow(ask)
    }
    this.advance(pull)
  }

  /** Those who stand in line for a client are next, as far as it has room. */
  #moveUp(supplier: Supplier): void {
    const nowMs = this.#deps.clock.now()
    for (const pull of supplier.line) {
      if (!supplier.hasRoom || this.#deps.supplies.freeBytes <= 0) return
      leaveLine(pull)
      if (mayBeAsked(pull, supplier)) this.#askForBlock(pull, supplier, nowMs)
      else this.advance(pull)
    }
    this.#lines.delete(supplier)
  }
}

function isOpen(ask: ClientAsk): boolean {
  return ask.verdict === undefined && !ask.slow
}

/**
 * Until when an ask is waited for, or, for one that was denied, when it is made again. Who is likely to bring it has
 * more time: others would bring it a second time.
 */
function patience(pull: Pull, supplier: Supplier, ask: ClientAsk, others: boolean): number {
  if (ask.verdict === 'dont-have') return ask.sentMs + againMs
  if (ask.slow || ask.verdict === 'have') return Number.POSITIVE_INFINITY
  if (supplier.usable && (!others || isSource(pull, supplier))) {
    return Math.max(ask.sentMs, supplier.heardMs) + silentMs
  }
  return ask.sentMs + staggerMs
}

function leaveLine(pull: Pull): void {
  pull.standsAt?.line.delete(pull)
  pull.standsAt = undefined
}

function isSource({ grants }: Pull, supplier: Supplier): boolean {
  for (const { source } of grants) if (source === supplier) return true
  return false
}

/** Whether a client is where one of those is who asked for the grant's DAG. */
function isAt({ accounts }: Grant, { addresses }: Supplier): boolean {
  for (const { address } of accounts.keys()) if (addresses.has(address)) return true
  return false
}

function mayBeAsked({ grants }: Pull, supplier: Supplier): boolean {
  if (!supplier.usable) return false
  for (const grant of grants) if (isAt(grant, supplier)) return true
  return false
}
