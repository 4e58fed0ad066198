import { type DigestOf, hashBlock } from '#src/bitswap/block.ts'
import { bareBlockPrefix, type CidFault, type ParsedCid, parseCid, parsePrefix } from '#src/bitswap/cid.ts'
import type { LedgerChanges, Tally } from '#src/bitswap/ledger.ts'
import type { BlockEntry, Message, PresenceEntry, WantEntry } from '#src/bitswap/message.ts'
import { smallBlockBytes, type Version } from '#src/bitswap/protocol.ts'
import type { Answers } from '#src/relay/answers.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import type { BlockCache } from '#src/relay/cache.ts'
import type { Client, ClientWant } from '#src/relay/client.ts'
import type { Counters, RefusalReason } from '#src/relay/counters.ts'
import { maxNegatives, maxPresences } from '#src/relay/outbox.ts'
import type { Clock, KnowsHash } from '#src/relay/ports.ts'
import type { Pulls } from '#src/relay/preload/pulls.ts'
import type { Sourcing } from '#src/relay/preload/sourcing.ts'
import { Supplier } from '#src/relay/preload/supplier.ts'
import type { Retrieval } from '#src/relay/retrieval.ts'
import type { Scheduler } from '#src/relay/scheduler.ts'

/** What the sessions of all clients share. */
export interface FrontDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly cache: BlockCache
  readonly answers: Answers
  readonly retrieval: Retrieval
  readonly scheduler: Scheduler
  readonly knowsHash: KnowsHash
  readonly digestOf: DigestOf
  readonly pulls: Pulls
  readonly sourcing: Sourcing
  readonly supplies: Buffers
  readonly state: FrontState
}

/** What is counted over all clients. */
export interface FrontState extends Tally {
  /** Wants held for all clients together, but for a few for each. */
  readonly maxWants: number
  sequence: number
  /** New wants are not taken any more; they will be sent again, elsewhere or after the restart. */
  draining: boolean
}

/**
 * A client's end of the relay: its messages in, its answers out.
 *
 * Invariant: every want that comes in is answered, held, or counted under a reason. Memory: the client's.
 */
export class FrontPeer implements LedgerChanges<ClientWant> {
  readonly client: Client
  readonly #supplier: Supplier
  readonly #deps: FrontDeps
  readonly #closed: (client: Client) => void

  constructor(client: Client, deps: FrontDeps, closed: (client: Client) => void) {
    this.client = client
    this.#deps = deps
    this.#closed = closed
    this.#supplier = new Supplier(client.link, deps.supplies)
  }

  /** The client has a connection from these addresses, and from no others. */
  at(addresses: ReadonlySet<string>): void {
    const { sourcing } = this.#deps
    const known = this.#supplier.addresses
    for (const address of [...known]) if (!addresses.has(address)) sourcing.departed(this.#supplier, address)
    for (const address of addresses) if (!known.has(address)) sourcing.arrived(this.#supplier, address)
  }

  /**
   * Takes a message; returns for how long nothing more should be read from this client, in ms: its wants
   * came faster than it may send them.
   */
  receive(message: Message): number {
    const { client } = this
    const { clock, scheduler } = this.#deps
    if (client.gone) return 0
    if (message.blocks.length > 0 || message.presences.length > 0) this.#brought(message)
    const nowMs = clock.now()
    client.wantBucket.take(message.wants.length, nowMs)
    client.ledger.apply(message, this)
    scheduler.serve(client)
    const delayMs = client.wantBucket.delayMs(nowMs)
    return this.#deps.supplies.freeBytes < 0 ? Math.max(delayMs, fullDelayMs) : delayMs
  }

  /** Returns the next message to send, in pieces; undefined when there is none. The last one has left. */
  take(version: Version): Uint8Array[] | undefined {
    this.client.outbox.release()
    this.#deps.scheduler.serve(this.client)
    const asks = this.#supplier.take()
    return asks === undefined ? this.client.outbox.take(version) : [asks]
  }

  /** Counts input that was refused before it could be a message. */
  refuse(reason: RefusalReason): void {
    this.#deps.counters.refusedClient[reason]++
  }

  /** The client's last connection closed: everything that was kept for it goes. */
  close(): void {
    const { client } = this
    if (client.gone) return
    client.gone = true
    for (const want of client.ledger.clear()) {
      this.#deps.counters.wantsEnded.gone++
      this.#drop(want)
    }
    client.outbox.clear()
    this.#deps.scheduler.remove(client)
    this.#deps.sourcing.left(this.#supplier)
    this.#closed(client)
  }

  /** Blocks and presences: what the client was asked for, or nobody's. */
  #brought(message: Message): void {
    const { sourcing } = this.#deps
    sourcing.heard(this.#supplier)
    for (const block of message.blocks) this.#block(block)
    for (const presence of message.presences) this.#presence(presence)
    sourcing.heard(this.#supplier)
  }

  #block(entry: BlockEntry): void {
    const { counters, digestOf, pulls, sourcing } = this.#deps
    const supplier = this.#supplier
    // What was never asked of it is not even hashed.
    if (supplier.asks.size === 0 || !supplier.usable) return this.refuse('unwanted-block')
    const prefix = entry.prefix === undefined ? bareBlockPrefix : parsePrefix(entry.prefix)
    const key = prefix && hashBlock(digestOf, prefix, entry)
    const ask = key && supplier.asks.get(key)
    if (ask === undefined) {
      if (key !== undefined && supplier.wasAsked(key)) return this.refuse('unwanted-block')
      supplier.lies++
      return this.refuse('wrong-block')
    }
    counters.pulledBlocks++
    counters.pulledBytes += entry.bytes.byteLength
    sourcing.delivered(ask.pull, supplier, entry.bytes.byteLength)
    pulls.block(ask.pull.multihash, entry.bytes, entry.bytes.byteLength)
  }

  #presence(entry: PresenceEntry): void {
    const cid = parseCid(entry.cid)
    if (typeof cid === 'string') return this.refuse(cid)
    const ask = this.#supplier.asks.get(cid.multihash)
    if (ask !== undefined) this.#deps.sourcing.presence(ask.pull, this.#supplier, entry.have)
  }

  create(entry: WantEntry, cid: ParsedCid): ClientWant | undefined {
    const { state, knowsHash, clock } = this.#deps
    if (!knowsHash(cid.hashCode)) return this.#refuse('unknown-hash', entry, cid)
    if (state.draining) return this.#refuse('draining', entry, undefined)
    const share = Math.max(leastWants, (state.maxWants - state.wants) / 2)
    if (this.client.ledger.size >= share) return this.#refuse('edge-full', entry, cid)
    return this.client.createWant(entry, cid, clock.now(), state.sequence++)
  }

  added(want: ClientWant): void {
    this.#deps.counters.wants++
    if (!this.#answerFromCache(want)) this.client.enqueue(want)
  }

  repeated(want: ClientWant, upgraded: boolean): void {
    if (want.pending === undefined) return
    if (upgraded) this.#deps.retrieval.upgrade(want)
    else if (want.told) this.#deps.retrieval.repeat(want)
  }

  cancelled(want: ClientWant): void {
    this.#deps.counters.wantsEnded.cancelled++
    this.#drop(want)
  }

  makeRoom(): boolean {
    const oldest = this.client.takeEldestTold()
    if (oldest === undefined) return false
    this.client.ledger.remove(oldest)
    this.refuse('too-many-wants')
    this.#deps.counters.wantsEnded.refused++
    this.#drop(oldest)
    return true
  }

  refused(reason: CidFault | 'too-many-wants', entry: WantEntry, cid: ParsedCid | undefined): void {
    this.#refuse(reason, entry, cid)
  }

  /** A want-have for what the cache holds costs no turn; blocks do, because they take buffer. */
  #answerFromCache(want: ClientWant): boolean {
    const { cache, counters, answers } = this.#deps
    if (want.block || !cache.enabled || this.client.outbox.presences >= maxPresences) return false
    const cached = cache.get(want.multihash)
    if (cached === undefined || cached.byteLength <= smallBlockBytes) return false
    counters.cacheHits++
    answers.have(want)
    return true
  }

  #refuse(reason: RefusalReason, entry: WantEntry, cid: ParsedCid | undefined): undefined {
    const { counters } = this.#deps
    counters.wants++
    counters.refusedClient[reason]++
    counters.wantsEnded.refused++
    const { outbox, link } = this.client
    if (!entry.sendDontHave || cid === undefined || outbox.presences >= maxNegatives) return undefined
    outbox.addDontHave(cid.key)
    link.wake()
    return undefined
  }

  #drop(want: ClientWant): void {
    const { client } = this
    client.dequeue(want)
    client.untell(want)
    this.#deps.retrieval.leave(want)
  }
}

/**
 * Wants that a client may hold however full the edge is. Beyond, a client may hold half of what is left: so
 * that a few with endless lists leave room for everyone else.
 */
const leastWants = 64

/** While backends take blocks slower than clients bring them, clients are read with pauses. */
const fullDelayMs = 50
