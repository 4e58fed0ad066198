import type { Backend } from '#src/relay/backend.ts'
import type { Counters } from '#src/relay/counters.ts'
import type { Clock, LinksOf, Observer } from '#src/relay/ports.ts'
import { type Account, type AccountLimits, Accounts } from '#src/relay/preload/accounts.ts'
import { Call } from '#src/relay/preload/call.ts'
import { Flight, type FlightOptions } from '#src/relay/preload/flight.ts'
import type { Grants } from '#src/relay/preload/grants.ts'
import type { PoolReader } from '#src/relay/preload/pool-reader.ts'
import { mostLinks, type Pulls } from '#src/relay/preload/pulls.ts'
import type { RefsCall, RefsCalls, RefsQuery, RefsRefusal, RefsRequest } from '#src/relay/preload/refs.ts'
import { Tracing } from '#src/relay/preload/tracing.ts'
import { route } from '#src/relay/router.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'

/**
 * The life of a preload: who may ask for a refs, which backend does it, and what its clients may be asked for
 * meanwhile.
 *
 * Invariant: one flight per query while it can be joined; every flight has a grant, and every grant a flight.
 * Memory: `callsTotal` calls and twice as many flights (those that only make copies have no call).
 */

export interface PreloadOptions extends AccountLimits, FlightOptions {}

export interface PreloadDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly backends: readonly Backend[]
  readonly whereabouts: Whereabouts
  readonly linksOf: LinksOf
  readonly observer: Observer
  readonly grants: Grants
  readonly pulls: Pulls
  readonly reader: PoolReader
  /** Makes sure that clients connected from an address can be asked. */
  readonly reach: (address: string) => void
}

/** How long the pool is asked who has a root, before one is chosen that may not have it. */
const lookupMs = 1_000
const comeBackMs = 5_000

export class Preload implements RefsCalls {
  readonly #deps: PreloadDeps
  readonly #options: PreloadOptions
  readonly #accounts: Accounts
  readonly #flights = new Set<Flight>()
  /** Those that can be joined. */
  readonly #byQuery = new Map<string, Flight>()
  readonly #calls = new Set<Call>()
  #draining = false

  constructor(deps: PreloadDeps, options: PreloadOptions) {
    this.#deps = deps
    this.#options = options
    this.#accounts = new Accounts(options)
  }

  /** Calls and flights under way, and addresses with a budget that is remembered. */
  get sizes(): { readonly calls: number; readonly flights: number; readonly accounts: number } {
    return { calls: this.#calls.size, flights: this.#flights.size, accounts: this.#accounts.size }
  }

  refs(request: RefsRequest, wake: () => void): RefsCall | RefsRefusal {
    const { clock, grants, pulls, reach, counters } = this.#deps
    const nowMs = clock.now()
    const refusal = this.#refusal()
    const account = refusal ?? this.#accounts.begin(request.address, nowMs)
    if ('refused' in account) {
      counters.refsRefused[account.refused]++
      return account
    }
    const flight = this.#joinable(request.query) ?? this.#launch(request.query)
    const deadlineMs = request.timeoutMs === undefined ? Number.POSITIVE_INFINITY : nowMs + request.timeoutMs
    const call: Call = new Call(flight, {
      wake,
      deadlineMs,
      startedMs: nowMs,
      left: () => this.#left(call, account),
    })
    this.#calls.add(call)
    flight.callers.set(call, account)
    if (this.#flights.has(flight) && grants.join(flight.grant, account)) {
      reach(request.address)
      pulls.granted(flight.grant)
    }
    return call
  }

  /** Lets time pass. */
  tick(nowMs: number): void {
    for (const call of this.#calls) call.tick(nowMs)
    for (const flight of this.#flights) flight.tick(nowMs)
  }

  sweep(nowMs: number): void {
    this.#accounts.sweep(nowMs)
  }

  /** Takes no more; what is under way goes on. */
  drain(): void {
    this.#draining = true
  }

  /** Ends everything: callers are told that the edge stops. */
  stop(): void {
    this.#draining = true
    for (const flight of [...this.#flights]) flight.fail('draining', 'this node is stopping, try another one')
  }

  #refusal(): RefsRefusal | undefined {
    if (this.#draining) return { refused: 'draining', retryAfterMs: comeBackMs }
    if (this.#flights.size >= 2 * this.#options.callsTotal) {
      return { refused: 'calls-total', retryAfterMs: comeBackMs }
    }
    const able = this.#deps.backends.some((backend) => backend.ready && backend.rpc.refs !== undefined)
    return able ? undefined : { refused: 'no-backend', retryAfterMs: comeBackMs }
  }

  #joinable(query: RefsQuery): Flight | undefined {
    const flight = this.#byQuery.get(keyOf(query))
    return flight?.end === undefined && flight?.stream.whole ? flight : undefined
  }

  #launch(query: RefsQuery): Flight {
    const { clock, grants, pulls, linksOf, observer, counters, reader, whereabouts, backends } = this.#deps
    const key = keyOf(query)
    const grant = grants.create(query.root, clock.now())
    const tracing = new Tracing(grant, reader)
    const flight: Flight = new Flight(
      query,
      {
        clock,
        grant,
        candidates: () => route(query.root.multihash, undefined, whereabouts, backends),
        trouble: (backend, what, reason) => {
          counters.preloadTrouble[what]++
          observer.preloadTrouble(backend.name, what, reason)
        },
        trace: (nowMs) => tracing.tick(nowMs),
        over: () => {
          tracing.stop()
          this.#flights.delete(flight)
          if (this.#byQuery.get(key) === flight) this.#byQuery.delete(key)
          counters.copies.made += flight.copies
          counters.copies.failed += flight.failedCopies
          counters.grantsEnded[outcomeOf(flight)]++
          pulls.ended(grant)
          grants.close(grant)
        },
      },
      this.#options,
    )
    this.#flights.add(flight)
    this.#byQuery.set(key, flight)
    const { inline, codec, multihash } = query.root
    if (inline !== undefined) grants.extend(grant, multihash, linksOf(codec, inline, mostLinks))
    pulls.covered(grant, [...grant.covered.keys()])
    this.#start(flight)
    return flight
  }

  /** A DAG stays where it is: who has its root is asked for, where that is not known. */
  #start(flight: Flight): void {
    const { backends, whereabouts, reader } = this.#deps
    const { root } = flight.query
    const ready = backends.filter((backend) => backend.ready).length
    const begin = (): void => {
      if (!flight.begin()) flight.fail('no-backend', 'no node can take this now')
    }
    if (ready < 2 || root.inline !== undefined || whereabouts.find(root.multihash) !== undefined)
      return begin()
    flight.looking = reader.read(root, 'have', lookupMs, () => {
      flight.looking = undefined
      begin()
    })
  }

  #left(call: Call, account: Account): void {
    const { clock, counters, grants, pulls } = this.#deps
    const { flight } = call
    const nowMs = clock.now()
    this.#calls.delete(call)
    flight.callers.delete(call)
    this.#accounts.end(account, nowMs)
    counters.refsEnded[call.outcome]++
    counters.refsDurationMs.observe(nowMs - call.startedMs)
    if (!this.#flights.has(flight)) return
    if (flight.callers.size === 0) return flight.abandon()
    // Where it only makes copies, its clients are still of use.
    if (flight.end === undefined && grants.part(flight.grant, account)) pulls.withdrawn(flight.grant)
  }
}

function outcomeOf({ end }: Flight): 'done' | 'failed' | 'abandoned' {
  return end?.kind ?? 'abandoned'
}

function keyOf({ arg, recursive, unique, edges, maxDepth, format }: RefsQuery): string {
  return [arg, recursive, unique, edges, maxDepth, format].join('\n')
}
