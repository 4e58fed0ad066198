import type { CidFault, ParsedCid } from '#src/bitswap/cid.ts'
import type { LedgerChanges, Tally } from '#src/bitswap/ledger.ts'
import type { Message, WantEntry } from '#src/bitswap/message.ts'
import { smallBlockBytes, type Version } from '#src/bitswap/protocol.ts'
import type { Answers } from '#src/relay/answers.ts'
import type { BlockCache } from '#src/relay/cache.ts'
import type { Client, ClientWant } from '#src/relay/client.ts'
import type { Counters, RefusalReason } from '#src/relay/counters.ts'
import { maxNegatives, maxPresences } from '#src/relay/outbox.ts'
import type { Clock, KnowsHash } from '#src/relay/ports.ts'
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
  readonly #deps: FrontDeps
  readonly #closed: (client: Client) => void

  constructor(client: Client, deps: FrontDeps, closed: (client: Client) => void) {
    this.client = client
    this.#deps = deps
    this.#closed = closed
  }

  /**
   * Takes a message; returns for how long nothing more should be read from this client, in ms: its wants
   * came faster than it may send them.
   */
  receive(message: Message): number {
    const { client } = this
    const { clock, counters, scheduler } = this.#deps
    if (client.gone) return 0
    counters.refusedClient['unwanted-block'] += message.blocks.length
    const nowMs = clock.now()
    client.wantBucket.take(message.wants.length, nowMs)
    client.ledger.apply(message, this)
    scheduler.serve(client)
    return client.wantBucket.delayMs(nowMs)
  }

  /** Returns the next message to send, in pieces; undefined when there is none. The last one has left. */
  take(version: Version): Uint8Array[] | undefined {
    this.client.outbox.release()
    this.#deps.scheduler.serve(this.client)
    return this.client.outbox.take(version)
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
    this.#closed(client)
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
    const oldest: ClientWant | undefined = this.client.told.values().next().value
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
    if (cached === undefined || cached.length <= smallBlockBytes) return false
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
