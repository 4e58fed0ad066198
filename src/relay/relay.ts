import type { DigestOf } from '#src/bitswap/block.ts'
import { type CidKey, type MultihashKey, multihashKey, parseCid } from '#src/bitswap/cid.ts'
import { Answers } from '#src/relay/answers.ts'
import { type BackDeps, BackPeer } from '#src/relay/back-peer.ts'
import { Backend, type BackendRpc } from '#src/relay/backend.ts'
import { Buffers } from '#src/relay/buffers.ts'
import { BlockCache } from '#src/relay/cache.ts'
import { Client, type ClientLimits } from '#src/relay/client.ts'
import { Counters, type Gauges } from '#src/relay/counters.ts'
import { type FrontDeps, FrontPeer, type FrontState } from '#src/relay/front-peer.ts'
import { Health } from '#src/relay/health.ts'
import type { Lane } from '#src/relay/lane.ts'
import { Misses, type MissOptions } from '#src/relay/misses.ts'
import type { Clock, KnowsHash, Link, LinksOf, Observer } from '#src/relay/ports.ts'
import { type GrantLimits, Grants } from '#src/relay/preload/grants.ts'
import { PoolReader } from '#src/relay/preload/pool-reader.ts'
import { Preload, type PreloadOptions } from '#src/relay/preload/preload.ts'
import { Pulls } from '#src/relay/preload/pulls.ts'
import type { RefsCalls } from '#src/relay/preload/refs.ts'
import { Sourcing } from '#src/relay/preload/sourcing.ts'
import { Retrieval } from '#src/relay/retrieval.ts'
import { Scheduler } from '#src/relay/scheduler.ts'
import { Whereabouts } from '#src/relay/whereabouts.ts'
import { fromKey } from '#src/util/bytes.ts'

/**
 * The core, put together: clients and lanes are connected to it, and `tick` drives its time. It schedules
 * nothing by itself; everything happens in the call that causes it.
 */

export interface RelayDeps {
  readonly clock: Clock
  readonly digestOf: DigestOf
  readonly knowsHash: KnowsHash
  readonly linksOf: LinksOf
  readonly observer: Observer
  /** Clients connected from an address are to be asked: whoever is there gets a session. */
  readonly reach: (address: string) => void
}

export interface RelayOptions {
  readonly client: ClientLimits & { readonly bufferBytes: number; readonly bufferBytesTotal: number }
  readonly cacheBytes: number
  readonly miss: Omit<MissOptions, 'againAfterMs'>
  readonly preload: PreloadOptions & GrantLimits & { readonly bufferBytes: number }
  readonly lanes: number
  /** Wants of all clients together: about 300 bytes each. */
  readonly maxWants?: number
}

/** How often `tick` is to be called. */
export const tickMs = 50
const sweepMs = 1_000

const defaultMaxWants = 500_000
/** Longer than a block takes from a busy disk, shorter than a client's patience (boxo: 50 ms … 7 s). */
const slowMs = 1_500
const giveUpMs = 10_000
/** A restart of a backend takes seconds; what it has is not "not there" meanwhile. */
const graceMs = 15_000

export class Relay {
  readonly counters = new Counters()
  readonly backends: Backend[] = []
  readonly #clients = new Set<Client>()
  readonly #deps: RelayDeps
  readonly #options: RelayOptions
  readonly #cache: BlockCache
  readonly #buffers: Buffers
  readonly #supplies: Buffers
  readonly #whereabouts = new Whereabouts()
  readonly #grants: Grants
  readonly #reader: PoolReader
  readonly #pulls: Pulls
  readonly #sourcing: Sourcing
  readonly #preload: Preload
  readonly #misses: Misses
  readonly #retrieval: Retrieval
  readonly #scheduler: Scheduler
  readonly #health: Health
  readonly #front: FrontDeps
  readonly #back: BackDeps
  readonly #state: FrontState
  #sweptMs = 0

  constructor(deps: RelayDeps, options: RelayOptions) {
    this.#deps = deps
    this.#options = options
    const maxWants = options.maxWants ?? defaultMaxWants
    this.#state = { wants: 0, maxWants, sequence: 0, draining: false }
    this.#cache = new BlockCache(options.cacheBytes)
    this.#buffers = new Buffers(options.client.bufferBytes, options.client.bufferBytesTotal)
    const { preload } = options
    this.#supplies = new Buffers(preload.bufferBytes, preload.bufferBytes)
    this.#grants = new Grants(preload)
    const shared = {
      clock: deps.clock,
      counters: this.counters,
      backends: this.backends,
      whereabouts: this.#whereabouts,
      cache: this.#cache,
      supplies: this.#supplies,
      grants: this.#grants,
    }
    const answers = new Answers({ ...shared, buffers: this.#buffers, linksOf: deps.linksOf })
    const verify = (cid: CidKey, multihash: MultihashKey, bytes: Uint8Array): number | undefined =>
      this.#verify(cid, multihash, bytes)
    this.#misses = new Misses({ ...shared, answers, verify }, { ...options.miss, againAfterMs: 60_000 })
    this.#retrieval = new Retrieval(
      {
        ...shared,
        answers,
        verify,
        observer: deps.observer,
        misses: this.#misses,
        came: (key, bytes) => this.#pulls.block(key, bytes, 0),
      },
      { slowMs, giveUpMs, graceMs },
    )
    this.#scheduler = new Scheduler({ ...shared, answers, retrieval: this.#retrieval })
    this.#health = new Health(deps.observer, { silentMs: 5_000, retryMs: 5_000 })
    const { linksOf, digestOf, knowsHash, observer, reach } = deps
    this.#sourcing = new Sourcing(shared)
    const asking = { ...shared, linksOf, retrieval: this.#retrieval }
    this.#reader = new PoolReader(asking)
    this.#pulls = new Pulls({ ...asking, reader: this.#reader, sourcing: this.#sourcing })
    const pulls = this.#pulls
    this.#preload = new Preload({ ...asking, observer, pulls, reader: this.#reader, reach }, preload)
    const inner = { ...asking, scheduler: this.#scheduler, pulls, digestOf }
    this.#front = { ...inner, sourcing: this.#sourcing, answers, knowsHash, state: this.#state }
    const changed = (lane: Lane): void => this.#update(lane.backend)
    this.#back = { ...inner, changed }
  }

  /** Takes calls to preload something. */
  get refs(): RefsCalls {
    return this.#preload
  }

  /** Whether clients at an address are waited for, so that one that connects from there should get a session. */
  expects(address: string): boolean {
    return this.#grants.expects(address)
  }

  /** Returns the backend that was last seen to have a block, or one that links to it. */
  holderOf(key: MultihashKey): Backend | undefined {
    return this.#whereabouts.find(key)
  }

  /** Adds a backend to the pool, with what it can be told to do. */
  addBackend(name: string, rpc: BackendRpc): Backend {
    const backend = new Backend(name, this.#options.lanes, rpc, this.#supplies)
    backend.lostMs = this.#deps.clock.now()
    this.backends.push(backend)
    return backend
  }

  /** A client connected; returns its end of the relay. */
  connectClient(link: Link): FrontPeer {
    const nowMs = this.#deps.clock.now()
    const client = new Client(link, this.#options.client, this.#buffers, this.#state, nowMs)
    this.#clients.add(client)
    return new FrontPeer(client, this.#front, (gone) => this.#clients.delete(gone))
  }

  /** A lane of a backend came up; returns its end of the relay. The slot must be down. */
  connectLane(backend: Backend, slot: number, link: Link): BackPeer {
    const lane = backend.lanes[slot]
    if (lane === undefined || lane.up) throw new Error(`lane ${slot} of ${backend.name} is taken`)
    lane.connect(link)
    const peer = new BackPeer(lane, this.#back)
    peer.heard()
    return peer
  }

  /** Lets time pass. */
  tick(): void {
    const nowMs = this.#deps.clock.now()
    this.#retrieval.tick(nowMs)
    this.#misses.tick(nowMs)
    this.#reader.tick(nowMs)
    this.#pulls.tick(nowMs)
    this.#preload.tick(nowMs)
    for (const backend of this.backends) this.#update(backend)
    if (nowMs - this.#sweptMs >= sweepMs) {
      this.#sweptMs = nowMs
      this.#retrieval.sweep(nowMs)
      this.#preload.sweep(nowMs)
    }
    this.#scheduler.run()
  }

  /** From now on new wants are not taken; those there are go on. */
  drain(): void {
    this.#state.draining = true
    this.#preload.drain()
  }

  /** Ends what would go on for long: callers of refs are told. */
  stop(): void {
    this.#preload.stop()
  }

  /** Whether nothing that was accepted is still to be done, but for what nobody has. */
  get idle(): boolean {
    if (this.#buffers.usedBytes > 0 || this.#misses.underWay > 0) return false
    if (this.#preload.sizes.flights > 0 || this.#preload.sizes.calls > 0) return false
    for (const client of this.#clients) if (client.hasWaiting || client.active > 0) return false
    return true
  }

  get gauges(): Gauges {
    return {
      clients: this.#clients.size,
      wants: this.#state.wants,
      pending: this.#retrieval.pendings.size,
      outboxBytes: this.#buffers.usedBytes,
      cacheBytes: this.#cache.bytes,
      cacheBlocks: this.#cache.blocks,
      presenceEntries: this.#whereabouts.size,
      missesUnderWay: this.#misses.underWay,
      refs: this.#preload.sizes.calls,
      grants: this.#grants.open,
      grantedBlocks: this.#grants.blocks,
      pulls: this.#pulls.size,
      supplyBytes: this.#supplies.usedBytes,
    }
  }

  /** What else is to be nothing once every client has left; for tests. */
  get leftovers(): Readonly<Record<string, number>> {
    return {
      reservedBytes: this.#buffers.reservedBytes,
      waitingClients: this.#scheduler.waiting,
      owedBytes: this.#supplies.reservedBytes,
      sourcing: this.#sourcing.size,
      reading: this.#reader.size,
      flights: this.#preload.sizes.flights,
    }
  }

  #update(backend: Backend): void {
    const before = backend.state
    const becameReady = this.#health.update(backend, this.#deps.clock.now())
    if (becameReady) this.#retrieval.backendReady(backend)
    else if (before !== 'ready' || backend.state !== 'unresponsive') return
    else for (const lane of backend.lanes) this.#retrieval.moved(lane.unsend(), backend)
    this.#scheduler.run()
  }

  #verify(cid: CidKey, multihash: MultihashKey, bytes: Uint8Array): number | undefined {
    const parsed = parseCid(fromKey(cid))
    if (typeof parsed === 'string') return undefined
    const digest = this.#deps.digestOf(parsed.hashCode, bytes)
    if (digest === undefined) return undefined
    const actual = multihashKey(parsed.hashCode, digest, parsed.digestLength)
    return actual === multihash ? parsed.codec : undefined
  }
}
