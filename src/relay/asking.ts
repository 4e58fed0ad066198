import type { Ask } from '#src/relay/ask.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Counters } from '#src/relay/counters.ts'
import type { GatewayRoad } from '#src/relay/gateway-road.ts'
import type { Pending } from '#src/relay/pending.ts'
import type { Clock } from '#src/relay/ports.ts'
import { route } from '#src/relay/router.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'

/**
 * Which backends are asked next for a block, and for what: the block, or whether they have it.
 *
 * Invariant: one ask per backend and round; only ready backends are asked. Memory: none of its own.
 */

export interface AskingDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly backends: readonly Backend[]
  readonly whereabouts: Whereabouts
}

/** How long a backend is waited for. */
export interface Patience {
  /** An ask without an answer for this long no longer keeps others from being asked. */
  readonly slowMs: number
  /** An ask without an answer for this long is taken back. */
  readonly giveUpMs: number
}

export class Asking {
  readonly #deps: AskingDeps
  readonly #road: GatewayRoad

  constructor(deps: AskingDeps, road: GatewayRoad) {
    this.#deps = deps
    this.#road = road
  }

  /**
   * Asks the most promising backend for the block; once that did not help, all others whether they have it
   * (the last one directly for the block, unless `blockOpen`: one was asked for it). False when there is
   * nobody left to ask.
   */
  next(pending: Pending, blockOpen: boolean): boolean {
    const { whereabouts, backends } = this.#deps
    const [waiter] = pending.waiters
    const first = pending.asks.size === 0 && !pending.wide
    const candidates: Backend[] = []
    for (const backend of route(pending.multihash, waiter?.client, whereabouts, backends)) {
      if (!backend.ready || pending.asks.has(backend)) continue
      if (first && backend.hasRoom) {
        this.ask(pending, backend)
        return true
      }
      candidates.push(backend)
    }
    const [only] = candidates
    if (only === undefined) return false
    if (first || (candidates.length === 1 && !blockOpen)) this.ask(pending, only)
    else for (const backend of candidates) this.ask(pending, backend, 'have')
    return true
  }

  /** Asks one backend, for the block if anyone wants it. */
  ask(
    pending: Pending,
    backend: Backend,
    kind: Ask['kind'] = pending.blockWaiters > 0 ? 'block' : 'have',
  ): void {
    const { cid, multihash } = pending
    const lane = backend.laneFor(multihash)
    if (lane === undefined) return
    const again = this.#deps.whereabouts.has(multihash, backend)
    const fresh = { sentMs: undefined, verdict: undefined, slow: false, abandon: undefined }
    const ask: Ask = { cid, multihash, backend, lane, kind, again, ...fresh }
    pending.asks.set(backend, ask)
    if (this.#road.takes(pending, ask)) return
    this.#deps.counters.asks++
    lane.ask(ask, this.#deps.clock.now())
  }

  /** Puts an ask that has lost its road on a lane of its backend; false if that cannot be: it is forgotten. */
  again(pending: Pending, ask: Ask): boolean {
    const { backend } = ask
    const nowMs = this.#deps.clock.now()
    if (ask.verdict === undefined ? backend.ready && backend.place(ask, nowMs) : backend.up) return true
    pending.asks.delete(backend)
    pending.wide = true
    pending.interrupted = true
    return false
  }

  /** Asks a backend for the block that it says it has. */
  forBlock(ask: Ask): void {
    ask.kind = 'block'
    this.#deps.counters.asks++
    const nowMs = this.#deps.clock.now()
    if (ask.lane.up) ask.lane.ask(ask, nowMs)
    else ask.backend.place(ask, nowMs)
  }
}

/** Returns the asks on lanes that are not answered after `slowMs` and not marked slow, or after `giveUpMs`. */
export function overdue(backends: readonly Backend[], nowMs: number, limits: Patience): Ask[] {
  const asks: Ask[] = []
  for (const lane of backends.flatMap((backend) => backend.lanes)) {
    for (const ask of lane.unanswered()) {
      const waitedMs = nowMs - (ask.sentMs ?? nowMs)
      if (waitedMs < limits.slowMs) break
      if (!ask.slow || waitedMs >= limits.giveUpMs) asks.push(ask)
    }
  }
  return asks
}

/** Takes back everything that was asked in this round. */
export function release(pending: Pending): void {
  for (const ask of pending.asks.values()) {
    ask.abandon?.()
    ask.lane.cancel(ask)
  }
  pending.asks.clear()
}
