import { codecs, type MultihashKey } from '#src/bitswap/cid.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import type { BlockCache } from '#src/relay/cache.ts'
import type { Counters } from '#src/relay/counters.ts'
import type { Clock, LinksOf } from '#src/relay/ports.ts'
import { type BackWant, formsOf } from '#src/relay/preload/back-wants.ts'
import type { Grant } from '#src/relay/preload/grant.ts'
import type { Grants } from '#src/relay/preload/grants.ts'
import type { PoolReader } from '#src/relay/preload/pool-reader.ts'
import { Pull } from '#src/relay/preload/pull.ts'
import type { Sourcing } from '#src/relay/preload/sourcing.ts'
import type { Retrieval } from '#src/relay/retrieval.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'
import { type Body, joined } from '#src/util/pieces.ts'

/**
 * Where what backends want meets what grants allow: the blocks on their way from clients to backends.
 *
 * Invariant: there is a pull exactly for every multihash that a backend wants and an open grant covers; only
 * verified blocks get here; a grant covers what any block links to that it covers, whoever had it. Memory: one pull per
 * such block, which the grants bound.
 */

export interface PullDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly cache: BlockCache
  readonly whereabouts: Whereabouts
  readonly linksOf: LinksOf
  readonly backends: readonly Backend[]
  readonly retrieval: Retrieval
  readonly reader: PoolReader
  readonly grants: Grants
  readonly sourcing: Sourcing
  /** What backends are still to be sent, and what clients still owe. */
  readonly supplies: Buffers
}

/** Links of one block that can extend a grant; a block of 2 MiB holds fewer. */
export const mostLinks = 65_536
const linkingCodecs = [codecs.dagPb, codecs.dagCbor, codecs.dagJson]
/** How long the rest of the pool has to give a block before clients are asked. */
const readMs = 2_000
/** Blocks read from the pool at once, of all pulls: a backend takes them slower than another one gives them. */
const mostReads = 64

export class Pulls {
  readonly #deps: PullDeps
  readonly #pulls = new Map<MultihashKey, Pull>()
  /** Those that the cache or the pool can serve once there is room. */
  readonly #line = new Set<Pull>()

  constructor(deps: PullDeps) {
    this.#deps = deps
  }

  get size(): number {
    return this.#pulls.size
  }

  /** A backend wants something; false if no grant covers it. */
  wanted(want: BackWant): boolean {
    const { grants, clock } = this.#deps
    const covering = grants.covering(want.multihash)
    if (covering === undefined) return false
    const nowMs = clock.now()
    for (const grant of covering) noteWant(grant, want.backend, nowMs)
    if (want.pull !== undefined) return true
    const pull = this.#pulls.get(want.multihash) ?? new Pull(want)
    pull.wants.add(want)
    want.backend.wants.pulling(want, pull)
    if (!this.#pulls.has(pull.multihash)) {
      this.#pulls.set(pull.multihash, pull)
      for (const grant of covering) {
        pull.grants.add(grant)
        grant.pulls.add(pull)
      }
    }
    this.#advance(pull)
    return true
  }

  /** A backend does not want it any more. */
  unwanted(want: BackWant): void {
    const { pull } = want
    if (pull === undefined) return
    want.pull = undefined
    pull.wants.delete(want)
    if (pull.wants.size === 0) this.#end(pull)
  }

  /** Clients at more addresses may be asked under a grant: what was idle may go on. */
  granted(grant: Grant): void {
    for (const pull of [...grant.pulls]) this.#advance(pull)
  }

  /** Clients at some address may not be asked under a grant any more. */
  withdrawn(grant: Grant): void {
    for (const pull of [...grant.pulls]) this.#deps.sourcing.review(pull)
  }

  /** These came under a grant just now. Backends may want them already, and other grants cover them. */
  covered(grant: Grant, keys: readonly MultihashKey[]): void {
    for (const key of keys) {
      const pull = this.#pulls.get(key)
      if (pull !== undefined) this.#join(pull, grant)
      for (const backend of this.#deps.backends) {
        const want = backend.wants.find(key)
        if (want !== undefined && want.pull === undefined) this.wanted(want)
      }
    }
  }

  /** A grant is closed: what only it covered is not pulled any more. To be called before it is forgotten. */
  ended(grant: Grant): void {
    for (const pull of [...grant.pulls]) {
      pull.grants.delete(grant)
      grant.pulls.delete(pull)
      if (pull.grants.size > 0) {
        this.#deps.sourcing.review(pull)
        continue
      }
      const wants = [...pull.wants]
      pull.wants.clear()
      this.#end(pull)
      for (const want of wants) want.backend.wants.idle(want)
    }
  }

  /** A verified block came from somewhere, with what it weighs if a client brought it; false if nobody pulls it. */
  block(key: MultihashKey, bytes: Body, broughtBytes: number): boolean {
    const pull = this.#pulls.get(key)
    if (pull === undefined) {
      this.#passed(key, bytes)
      return false
    }
    const { counters, cache, whereabouts, linksOf, retrieval, grants, clock } = this.#deps
    const nowMs = clock.now()
    const wants = [...pull.wants]
    const granted = [...pull.grants]
    const codec = codecOf(pull)
    pull.wants.clear()
    this.#end(pull)
    const links = linksOf(codec, bytes, mostLinks) as readonly MultihashKey[]
    for (const want of wants) {
      want.pull = undefined
      counters.suppliedBlocks++
      counters.suppliedBytes += bytes.byteLength
      want.backend.supply(want, bytes)
      want.backend.wants.served(want, nowMs)
      whereabouts.saw(key, want.backend)
      // What another backend gave is there with all that it links to.
      if (broughtBytes > 0) for (const link of links) whereabouts.linked(link, want.backend)
    }
    for (const grant of granted) {
      grant.progressMs = nowMs
      if (broughtBytes > 0) grants.charge(grant, broughtBytes)
      this.covered(grant, grants.extend(grant, key, links))
    }
    const [first] = wants
    if (broughtBytes === 0 || first === undefined) return true
    if (cache.enabled) cache.offer(key, bytes)
    retrieval.supplied(key, bytes, first.backend)
    return true
  }

  /** Does what is due with time. */
  tick(nowMs: number): void {
    for (const backend of this.#deps.backends) {
      for (const want of backend.wants.due(nowMs)) this.wanted(want)
    }
    this.#deps.sourcing.tick(nowMs)
    this.#moveUp()
  }

  /** From the cache, from a backend that has it, from clients: in this order. */
  #advance(pull: Pull): void {
    if (pull.stopReading !== undefined) return
    const { cache, sourcing, supplies } = this.#deps
    this.#line.delete(pull)
    const cached = cache.enabled ? cache.get(pull.multihash) : undefined
    if (cached !== undefined && supplies.freeBytes > 0) {
      this.#deps.counters.cacheHits++
      this.block(pull.multihash, cached, 0)
    } else if (cached !== undefined) {
      this.#line.add(pull)
    } else if (this.#isElsewhere(pull)) {
      this.#read(pull)
    } else {
      sourcing.advance(pull)
      // With nobody to ask, a backend may have it all the same.
      if (pull.asks.size === 0 && pull.standsAt === undefined) this.#read(pull)
    }
  }

  /** A grant covers what is pulled already. */
  #join(pull: Pull, grant: Grant): void {
    const nowMs = this.#deps.clock.now()
    pull.grants.add(grant)
    grant.pulls.add(pull)
    for (const want of pull.wants) noteWant(grant, want.backend, nowMs)
    this.#advance(pull)
  }

  /** A block that is not pulled went by: what it links to is covered by what covers it. */
  #passed(key: MultihashKey, bytes: Body): void {
    const { grants, linksOf } = this.#deps
    for (const grant of [...(grants.covering(key) ?? [])]) {
      if (!grant.unread.has(key)) continue
      const whole = joined(bytes)
      let links: readonly string[] = []
      // Links are known by multihash, so the codec is guessed: what decodes as one of these has its links.
      for (const codec of linkingCodecs) if (links.length === 0) links = linksOf(codec, whole, mostLinks)
      this.covered(grant, grants.extend(grant, key, links))
    }
  }

  /** Whether a backend that does not want it is likely to have it: it is not pulled from clients again. */
  #isElsewhere(pull: Pull): boolean {
    const holder = this.#deps.whereabouts.find(pull.multihash)
    return !pull.read && holder?.ready === true && !isWantedBy(pull, holder)
  }

  /** Asks the pool for a block, once. */
  #read(pull: Pull): void {
    const { backends, reader, sourcing, supplies } = this.#deps
    if (pull.read || !backends.some((backend) => backend.ready && !isWantedBy(pull, backend))) return
    if (reader.size >= mostReads || supplies.freeBytes <= 0) {
      this.#line.add(pull)
      return
    }
    pull.read = true
    pull.stopReading = reader.read(pull, 'block', readMs, (found) => {
      pull.stopReading = undefined
      // A block that was found comes through `block`.
      if (!found && this.#pulls.get(pull.multihash) === pull) sourcing.advance(pull)
      this.#moveUp()
    })
  }

  /** Those who stand in line are next, as far as there is room. */
  #moveUp(): void {
    const { reader, supplies } = this.#deps
    for (const pull of this.#line) {
      if (reader.size >= mostReads || supplies.freeBytes <= 0) return
      this.#advance(pull)
    }
  }

  #end(pull: Pull): void {
    this.#pulls.delete(pull.multihash)
    this.#line.delete(pull)
    pull.stopReading?.()
    pull.stopReading = undefined
    for (const grant of pull.grants) grant.pulls.delete(pull)
    this.#deps.sourcing.end(pull)
  }
}

/** The first word about a DAG is progress; after that only what comes of it is. */
function noteWant(grant: Grant, backend: Backend, nowMs: number): void {
  if (grant.wantedMs.size === 0) grant.progressMs = nowMs
  grant.wantedMs.set(backend, nowMs)
}

/** The codec by which a block has links, where anybody wants or grants it by such a one: others may name it raw. */
function codecOf({ multihash, codec, wants, grants }: Pull): number {
  for (const want of wants) for (const form of formsOf(want)) if (isLinking(form.codec)) return form.codec
  for (const { root } of grants) if (root.multihash === multihash && isLinking(root.codec)) return root.codec
  return codec
}

function isLinking(codec: number): boolean {
  return linkingCodecs.some((linking) => linking === codec)
}

function isWantedBy({ wants }: Pull, backend: Backend): boolean {
  for (const want of wants) if (want.backend === backend) return true
  return false
}
