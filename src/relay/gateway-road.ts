import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import type { Ask } from '#src/relay/ask.ts'
import type { Backend } from '#src/relay/backend.ts'
import { largeBlockBytes } from '#src/relay/block-sizes.ts'
import type { Counters, gatewayOutcomes } from '#src/relay/counters.ts'
import type { Gateway, Reading, ReadingEnd } from '#src/relay/gateway.ts'
import type { Pending } from '#src/relay/pending.ts'
import type { Clock, Observer } from '#src/relay/ports.ts'

/**
 * The second road of a block: by HTTP from the gateway of the backend that was to be asked for it. Only what is
 * expected to be large takes it; what does not arrive goes on by Bitswap, at the same backend, at once.
 *
 * Invariant: bytes are verified before anything else is done with them; an ask is on one road at a time, and on this one
 * it is in no lane. Memory: that of the gateways.
 */

export interface GatewayRoadDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly backends: readonly Backend[]
  readonly observer: Observer
  /** Says whether the bytes are the block with that CID, and its codec; undefined if they are not. */
  readonly verify: (cid: CidKey, multihash: MultihashKey, bytes: Uint8Array) => number | undefined
}

/** What becomes of an ask that took this road: exactly one of them, once, unless it is abandoned. */
export interface GatewayOutcome {
  came(ask: Ask, codec: number, bytes: Uint8Array): void
  /** It is to go on by Bitswap. */
  goesOn(ask: Ask): void
}

type GatewayFault = Exclude<(typeof gatewayOutcomes)[number], 'found' | 'absent'>

/**
 * Requests that are open at all gateways together, in equal parts: runtimes queue those beyond some 256, the RPC's among
 * them.
 */
const maxOpenInAll = 128

export class GatewayRoad {
  readonly #deps: GatewayRoadDeps
  readonly #outcome: GatewayOutcome

  constructor(deps: GatewayRoadDeps, outcome: GatewayOutcome) {
    this.#deps = deps
    this.#outcome = outcome
  }

  /** Takes an ask for a block that would go to a lane otherwise; false if it is to go there. */
  takes(pending: Pending, ask: Ask): boolean {
    const { gateway, sizes } = ask.backend
    if (gateway === undefined || ask.kind !== 'block') return false
    const [want] = pending.waiters
    if (!(want?.client.sizes.expectsLarge(ask.cid) ?? sizes.expectsLarge(ask.cid))) return false
    const nowMs = this.#deps.clock.now()
    gateway.maxOpen = this.#maxOpen
    if (!gateway.takesNext(nowMs)) return false
    gateway.start(ask, nowMs, (end, reading) => this.#ended(gateway, reading, end))
    return true
  }

  /** Learns from a verified block that somebody waits for; `ask` is what was open at its backend. */
  learn(pending: Pending, ask: Ask | undefined, codec: number, bytes: number, backend: Backend): void {
    if (backend.gateway === undefined) return
    backend.sizes.saw(codec, bytes)
    for (const { client } of pending.waiters) client.sizes.saw(codec, bytes)
    if (ask?.sentMs === undefined || ask.verdict !== undefined || bytes < largeBlockBytes) return
    backend.gateway.cameByBitswap(this.#deps.clock.now() - ask.sentMs)
  }

  /** Ends what takes too long, or is asked of a backend that is lost. */
  tick(nowMs: number): void {
    for (const { gateway, ready } of this.#deps.backends) gateway?.tick(nowMs, !ready)
  }

  get #maxOpen(): number {
    const gateways = this.#deps.backends.reduce((sum, { gateway }) => sum + (gateway ? 1 : 0), 0)
    return Math.max(1, Math.floor(maxOpenInAll / gateways))
  }

  #ended(gateway: Gateway, reading: Reading, end: ReadingEnd): void {
    const { clock, counters, verify } = this.#deps
    const { ask, sinceMs } = reading
    if (end.kind === 'unasked') return this.#outcome.goesOn(ask)
    const nowMs = clock.now()
    if (end.kind === 'found') {
      const codec = verify(ask.cid, ask.multihash, end.bytes)
      if (codec !== undefined) {
        counters.gateway.found++
        counters.gatewayBytes += end.bytes.length
        ask.backend.latencyMs.observe(nowMs - sinceMs)
        this.#answered(gateway, reading, nowMs, true)
        return this.#outcome.came(ask, codec, end.bytes)
      }
      counters.refusedBackend['wrong-block']++
      this.#failed(gateway, reading, nowMs, 'wrong-block', 'its bytes are not those of the block')
    } else if (end.kind === 'absent') {
      counters.gateway.absent++
      this.#answered(gateway, reading, nowMs, false)
    } else if (end.kind === 'failed') {
      this.#failed(gateway, reading, nowMs, end.fault, end.reason)
    } else {
      this.#failed(gateway, reading, nowMs, 'timeout', 'it did not answer in time')
    }
    this.#outcome.goesOn(ask)
  }

  #answered(gateway: Gateway, reading: Reading, nowMs: number, found: boolean): void {
    if (!gateway.answered(reading, nowMs, found)) return
    this.#deps.observer.gatewayState(reading.ask.backend.name, 'back', undefined)
  }

  #failed(gateway: Gateway, reading: Reading, nowMs: number, fault: GatewayFault, reason: string): void {
    const { counters, observer } = this.#deps
    counters.gateway[fault]++
    if (!gateway.failed(reading, nowMs, fault === 'wrong-block')) return
    observer.gatewayState(reading.ask.backend.name, 'given-up', reason)
  }
}
