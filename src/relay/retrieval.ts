import type { MultihashKey } from '#src/bitswap/cid.ts'
import type { Answers } from '#src/relay/answers.ts'
import type { Ask } from '#src/relay/ask.ts'
import { Asking, overdue, type Patience, release } from '#src/relay/asking.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { ClientWant } from '#src/relay/client.ts'
import { GatewayRoad, type GatewayRoadDeps } from '#src/relay/gateway-road.ts'
import type { Misses } from '#src/relay/misses.ts'
import { Pending } from '#src/relay/pending.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'
import type { Body } from '#src/util/pieces.ts'

/**
 * The life of a want between clients and backends: who is asked, in which order, and what follows from
 * each answer.
 *
 * Invariant: a pending in phase `asking` has an open ask, or no backend is ready to be asked; every
 * `advance` ends in one of these or leaves the phase. Memory: one pending per distinct block wanted.
 */

export interface RetrievalOptions extends Patience {
  /** How long a lost backend is waited for before what it may have counts as not there. */
  readonly graceMs: number
}

export interface RetrievalDeps extends GatewayRoadDeps {
  readonly whereabouts: Whereabouts
  readonly answers: Answers
  readonly misses: Misses
  /** A verified block came from a backend, for whoever else can use it. */
  readonly came: (key: MultihashKey, bytes: Body) => void
}

export class Retrieval {
  readonly pendings = new Map<MultihashKey, Pending>()
  readonly #deps: RetrievalDeps
  readonly #options: RetrievalOptions
  readonly #road: GatewayRoad
  readonly #asking: Asking

  constructor(deps: RetrievalDeps, options: RetrievalOptions) {
    this.#deps = deps
    this.#road = new GatewayRoad(deps, {
      came: (ask, codec, bytes) => this.block(ask.multihash, codec, bytes, ask.backend),
      goesOn: (ask) => this.#goesOn(ask, ask.backend.ready ? 'asks' : 'movedAsks'),
    })
    this.#asking = new Asking(deps, this.#road)
    this.#options = options
  }

  /** Whether a ready backend can take one more ask without queueing it. */
  get hasRoom(): boolean {
    return this.#deps.backends.some((backend) => backend.ready && backend.hasRoom)
  }

  /** Starts looking for what is wanted, or joins those who look for it already. */
  want(want: ClientWant): void {
    const known = this.pendings.get(want.multihash)
    const pending = known ?? new Pending(want.cid, want.multihash)
    pending.add(want)
    if (known === undefined) {
      this.pendings.set(want.multihash, pending)
    } else {
      this.#deps.counters.coalesced++
      if (pending.phase === 'parked') this.#askAgain(pending)
    }
    if (pending.phase === 'asking') want.client.activate(want)
    this.advance(pending)
  }

  /** A waiter leaves: it was cancelled, or its client is gone. The last one takes everything back. */
  leave(want: ClientWant): void {
    const pending = want.pending
    if (pending === undefined) return
    want.client.deactivate(want)
    if (pending.remove(want)) this.#end(pending)
  }

  /** A want-have became a want-block. */
  upgrade(want: ClientWant): void {
    const pending = want.pending
    if (pending === undefined) return
    pending.blockWaiters++
    want.client.upgraded(want)
    this.repeat(want)
  }

  /** A client asks again for what it was told is not there. */
  repeat(want: ClientWant): void {
    const pending = want.pending
    if (pending === undefined) return
    want.client.untell(want)
    if (pending.phase === 'parked') this.#askAgain(pending)
    this.advance(pending)
  }

  /** Does what is to be done next for a block; nothing when it waits for an answer. */
  advance(pending: Pending): void {
    if (pending.phase !== 'asking') return
    const blockOpen = pending.hasOpenAsk('block')
    if (pending.blockWaiters > 0 && !blockOpen) {
      for (const ask of pending.asks.values()) {
        if (ask.verdict === 'have') return this.#asking.forBlock(ask)
      }
    }
    if (pending.hasOpenAsk() && !pending.wide) return
    if (this.#asking.next(pending, blockOpen)) return
    for (const ask of pending.asks.values()) if (ask.verdict === undefined && ask.backend.ready) return
    this.#everyoneAnswered(pending)
  }

  /** A backend said HAVE or DONT_HAVE. */
  presence(key: MultihashKey, backend: Backend, have: boolean): void {
    const { whereabouts, answers } = this.#deps
    if (!have) whereabouts.missed(key, backend)
    const pending = this.pendings.get(key)
    const ask = pending?.asks.get(backend)
    if (pending === undefined || ask?.sentMs === undefined) return
    if (have && ask.kind === 'block' && ask.verdict === undefined) return
    this.#answered(ask)
    ask.verdict = have ? 'have' : 'dont-have'
    if (have) {
      whereabouts.saw(key, backend)
      for (const want of pending.waiters) {
        if (want.block) continue
        this.#remove(pending, want)
        answers.have(want)
      }
      if (pending.waiters.size === 0) return this.#end(pending)
    } else {
      pending.wide = true
      // At once, not when everyone has answered: asks that fill two lanes could wait for each other's room.
      ask.lane.cancel(ask)
    }
    this.advance(pending)
  }

  /** A verified block came; false if nobody is looking for it. */
  block(key: MultihashKey, codec: number, bytes: Body, backend: Backend): boolean {
    const pending = this.pendings.get(key)
    if (pending === undefined) return false
    const ask = pending.asks.get(backend)
    this.#road.learn(pending, ask, codec, bytes.byteLength, backend)
    if (ask !== undefined) this.#answered(ask)
    this.#deps.answers.learn(key, codec, bytes, backend)
    pending.asks.delete(backend)
    this.#settle(pending, bytes, backend)
    ask?.abandon?.()
    ask?.lane.settled(ask)
    this.#deps.came(key, bytes)
    return true
  }

  /** A verified block came another way, and a backend has it now: whoever looks for it gets it. */
  supplied(key: MultihashKey, bytes: Body, backend: Backend): void {
    const pending = this.pendings.get(key)
    if (pending !== undefined) this.#settle(pending, bytes, backend)
  }

  /** Asks that a lost lane or a silent backend leaves behind: on to another lane, or to other backends. */
  moved(asks: readonly Ask[], backend: Backend): void {
    for (const ask of asks) if (ask.backend === backend) this.#goesOn(ask, 'movedAsks')
  }

  #goesOn(ask: Ask, counter: 'movedAsks' | 'asks'): void {
    const pending = this.pendings.get(ask.multihash)
    if (pending?.asks.get(ask.backend) !== ask) return
    this.#deps.counters[counter]++
    if (!this.#asking.again(pending, ask)) this.advance(pending)
  }

  /** A backend can be asked (again): everything that waits for somebody to ask goes to it. */
  backendReady(backend: Backend): void {
    for (const pending of this.pendings.values()) {
      if (pending.phase === 'fetching') {
        // Nobody may hear that it is not there before this one was asked as well.
        pending.interrupted = true
        if (!pending.asks.has(backend)) this.#asking.ask(pending, backend)
        continue
      }
      if (pending.phase === 'parked') this.#askAgain(pending)
      this.advance(pending)
    }
  }

  /** Looks after asks that got no answer and parked wants whose time has come. */
  tick(nowMs: number): void {
    this.#road.tick(nowMs)
    for (const ask of overdue(this.#deps.backends, nowMs, this.#options)) this.#overdue(ask, nowMs)
  }

  /** Asks again for parked wants whose time has come, and moves on those whose round got stuck. */
  sweep(nowMs: number): void {
    for (const pending of this.pendings.values()) {
      if (pending.phase === 'parked' && nowMs >= pending.nextAskMs) this.#askAgain(pending)
      this.advance(pending)
    }
  }

  #overdue(ask: Ask, nowMs: number): void {
    const pending = this.pendings.get(ask.multihash)
    if (pending?.asks.get(ask.backend) !== ask) return
    if (!ask.slow) {
      ask.slow = true
      this.#deps.counters.stalledAsks++
      pending.wide = true
    }
    if (nowMs - (ask.sentMs ?? nowMs) >= this.#options.giveUpMs) {
      ask.verdict = 'gave-up'
      pending.interrupted = true
      ask.lane.cancel(ask)
    }
    this.advance(pending)
  }

  /** Every backend that can be asked has answered, and none has it. */
  #everyoneAnswered(pending: Pending): void {
    const { backends, clock, misses } = this.#deps
    if (pending.asks.size === 0) return
    const nowMs = clock.now()
    let graceMs = 0
    for (const backend of backends) {
      if (!backend.ready) graceMs = Math.max(graceMs, backend.lostMs + this.#options.graceMs - nowMs)
    }
    release(pending)
    for (const want of pending.waiters) want.client.deactivate(want)
    // A backend that returns in time is asked at once; those that are there have said what they had to say.
    if (graceMs > 0) return this.#park(pending, graceMs)
    if (pending.interrupted && pending.rounds++ < 2) return this.#park(pending, 500)
    pending.interrupted = false
    pending.phase = 'fetching'
    misses.start(pending, {
      found: (bytes, codec, backend) => this.block(pending.multihash, codec, bytes, backend),
      nowhere: () => {
        release(pending)
        if (pending.interrupted) {
          this.#askAgain(pending)
          return this.advance(pending)
        }
        for (const want of pending.waiters) this.#deps.answers.dontHave(want)
        this.#park(pending, Math.min(60_000, 5_000 * 2 ** pending.rounds++))
      },
    })
  }

  #park(pending: Pending, delayMs: number): void {
    pending.phase = 'parked'
    pending.nextAskMs = this.#deps.clock.now() + delayMs
    pending.abandonFetch = undefined
  }

  #askAgain(pending: Pending): void {
    pending.phase = 'asking'
    pending.wide = true
    pending.abandonFetch = undefined
    pending.interrupted = false
    for (const want of pending.waiters) want.client.activate(want)
  }

  #answered(ask: Ask): void {
    if (ask.sentMs === undefined || ask.verdict !== undefined) return
    ask.backend.latencyMs.observe(this.#deps.clock.now() - ask.sentMs)
  }

  #settle(pending: Pending, bytes: Body, backend: Backend): void {
    for (const want of pending.waiters) {
      want.client.recent = backend
      this.#remove(pending, want)
      this.#deps.answers.block(want, bytes)
    }
    this.#end(pending)
  }

  #remove(pending: Pending, want: ClientWant): void {
    want.client.deactivate(want)
    pending.remove(want)
  }

  #end(pending: Pending): void {
    release(pending)
    pending.abandonFetch?.()
    pending.abandonFetch = undefined
    if (this.pendings.get(pending.multihash) === pending) this.pendings.delete(pending.multihash)
  }
}
