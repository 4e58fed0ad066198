import type { CidKey, MultihashKey, ParsedCid } from '#src/bitswap/cid.ts'
import { Ledger, type Tally, type Want } from '#src/bitswap/ledger.ts'
import type { WantEntry } from '#src/bitswap/message.ts'
import type { Backend } from '#src/relay/backend.ts'
import { BlockSizes } from '#src/relay/block-sizes.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import { maxPresences, Outbox } from '#src/relay/outbox.ts'
import type { Pending } from '#src/relay/pending.ts'
import type { Link } from '#src/relay/ports.ts'
import { Eldest } from '#src/util/eldest.ts'
import { Heap } from '#src/util/heap.ts'
import { TokenBucket } from '#src/util/token-bucket.ts'

/** A want of a client, from its arrival until it is answered for good, cancelled, or its client is gone. */
export interface ClientWant extends Want {
  readonly client: Client
  readonly arrivedMs: number
  /** Order of arrival, over all clients. */
  readonly sequence: number
  /** What is being done for it; undefined while it waits for room. */
  pending: Pending | undefined
  /** It is in its client's heap of wants that wait for room. */
  queued: boolean
  /** DONT_HAVE went out; the block may still follow. */
  told: boolean
  /** Backends are being asked on its behalf: it counts against its client's window. */
  active: boolean
  /** Buffer set aside for its block while it is active, in bytes. */
  reservedBytes: number
  /** Takes the answer in place of a client: the want is the edge's own. */
  readonly answered?: (found: boolean) => void
}

export interface ClientLimits {
  readonly wants: number
  readonly wantsPerSecond: number
  readonly bytesPerSecond: number
  /** Fetches from elsewhere that one client may cause. */
  readonly fetchesPerMinute: number
}

/** Wants of one client that are being looked for at once. */
const maxActive = 2048
/** What a client's blocks are taken to weigh before any was seen, and at least. */
const initialBlockBytes = 256 * 1024
const leastBlockBytes = 4 * 1024

/**
 * One peer at the front: what it wants, what waits to be sent to it, and how much of either it may have.
 *
 * Invariant: every want in the ledger is queued, or has a pending, or was told DONT_HAVE; the blocks being
 * looked for on its behalf are expected to fit its buffer. Memory: `limits.wants` wants and the outbox,
 * which the relay bounds; all of it goes with the client.
 */
export class Client {
  readonly link: Link
  readonly ledger: Ledger<ClientWant>
  readonly outbox: Outbox
  readonly wantBucket: TokenBucket
  readonly fetchBucket: TokenBucket
  readonly byteBucket: TokenBucket
  /** Wants told DONT_HAVE, the oldest first: the first to go when the ledger is full. */
  readonly #told = new Set<ClientWant>()
  readonly #eldestTold = new Eldest(this.#told)
  /** The backend that last had something for this client. */
  recent: Backend | undefined
  gone = false
  /** Wants being looked for, and the buffer set aside for their blocks. */
  active = 0
  reservedBytes = 0
  blockBytes = initialBlockBytes
  /** What is known of the size of its blocks: which road they take. */
  readonly sizes = new BlockSizes()
  readonly #waiting = new Heap<ClientWant>(isMoreUrgent)
  #waitingCount = 0
  readonly #buffers: Buffers

  constructor(link: Link, limits: ClientLimits, buffers: Buffers, tally: Tally, nowMs: number) {
    this.link = link
    this.#buffers = buffers
    this.outbox = new Outbox(buffers)
    this.fetchBucket = new TokenBucket(limits.fetchesPerMinute / 60, nowMs, limits.fetchesPerMinute)
    this.ledger = new Ledger(limits.wants, tally)
    this.wantBucket = new TokenBucket(limits.wantsPerSecond, nowMs)
    this.byteBucket = new TokenBucket(limits.bytesPerSecond, nowMs)
  }

  get hasWaiting(): boolean {
    return this.#waitingCount > 0
  }

  createWant(entry: WantEntry, cid: ParsedCid, nowMs: number, sequence: number): ClientWant {
    return {
      client: this,
      cid: cid.key as CidKey,
      multihash: cid.multihash as MultihashKey,
      block: !entry.have,
      priority: entry.priority,
      sendDontHave: entry.sendDontHave,
      arrivedMs: nowMs,
      sequence,
      pending: undefined,
      queued: false,
      told: false,
      active: false,
      reservedBytes: 0,
    }
  }

  /** Puts a want among those that wait for room. */
  enqueue(want: ClientWant): void {
    if (want.queued) return
    want.queued = true
    this.#waitingCount++
    this.#waiting.push(want)
    // Wants that were cancelled stay in the heap until they surface; a flood of them must not grow it.
    if (this.#waiting.size > 2 * this.#waitingCount + 256) this.#waiting.retain((w) => w.queued)
  }

  /** Takes a want out of those that wait; the heap forgets it when it surfaces. */
  dequeue(want: ClientWant): void {
    if (!want.queued) return
    want.queued = false
    this.#waitingCount--
  }

  /** Returns the most urgent want that waits, without taking it. */
  nextWaiting(): ClientWant | undefined {
    for (;;) {
      const want = this.#waiting.peek()
      if (want === undefined || want.queued) return want
      this.#waiting.pop()
    }
  }

  /** Whether one more want may be looked for. */
  mayActivate(): boolean {
    if (this.active >= maxActive || this.outbox.presences >= maxPresences) return false
    return this.#buffers.allows(this.outbox.bytes + this.reservedBytes, this.blockBytes)
  }

  /** Backends are asked for it from now on. */
  activate(want: ClientWant): void {
    if (want.active) return
    want.active = true
    this.active++
    if (want.block) this.#reserve(want, this.blockBytes)
  }

  /** A want-have became a want-block. */
  upgraded(want: ClientWant): void {
    if (want.active) this.#reserve(want, this.blockBytes)
  }

  /** Backends are not asked for it any more, or not for now. */
  deactivate(want: ClientWant): void {
    if (!want.active) return
    want.active = false
    this.active--
    this.#reserve(want, 0)
  }

  #reserve(want: ClientWant, bytes: number): void {
    this.reservedBytes += bytes - want.reservedBytes
    this.#buffers.reservedBytes += bytes - want.reservedBytes
    want.reservedBytes = bytes
  }

  /** It was told DONT_HAVE: it may be forgotten when its client wants too much. */
  tell(want: ClientWant): void {
    want.told = true
    this.#told.add(want)
  }

  /** Returns the want that was told DONT_HAVE first, for it to be forgotten. */
  takeEldestTold(): ClientWant | undefined {
    const eldest = this.#eldestTold.take()
    if (eldest !== undefined) this.untell(eldest)
    return eldest
  }

  untell(want: ClientWant): void {
    if (!want.told) return
    want.told = false
    this.#told.delete(want)
  }

  /** Learns from a block on its way to this client how large its blocks are. */
  sawBlock(bytes: number): void {
    this.blockBytes = Math.max(leastBlockBytes, Math.ceil(this.blockBytes * 0.875 + bytes * 0.125))
  }
}

function isMoreUrgent(a: ClientWant, b: ClientWant): boolean {
  return a.priority === b.priority ? a.sequence < b.sequence : a.priority > b.priority
}
