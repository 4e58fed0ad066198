import { type DigestOf, hashBlock } from '#src/bitswap/block.ts'
import { bareBlockPrefix, type CidKey, parseCid, parsePrefix } from '#src/bitswap/cid.ts'
import type { BlockEntry, Message } from '#src/bitswap/message.ts'
import type { Version } from '#src/bitswap/protocol.ts'
import type { Counters, RefusalReason } from '#src/relay/counters.ts'
import type { Lane } from '#src/relay/lane.ts'
import type { Clock } from '#src/relay/ports.ts'
import type { Pulls } from '#src/relay/preload/pulls.ts'
import type { Retrieval } from '#src/relay/retrieval.ts'
import type { Scheduler } from '#src/relay/scheduler.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'

/** What the sessions of all lanes share. */
export interface BackDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly retrieval: Retrieval
  readonly scheduler: Scheduler
  readonly pulls: Pulls
  readonly whereabouts: Whereabouts
  readonly digestOf: DigestOf
  /** A lane went down, or a backend was heard again: its state may have changed. */
  readonly changed: (lane: Lane) => void
}

/**
 * A lane's end of the relay: the backend's messages in; wants, cancels and the blocks that it wants out.
 *
 * Invariant: every block is hashed before anything else is done with it; a want that no grant covers costs a
 * look-up and an entry that is soon forgotten. Memory: the lane's.
 */
export class BackPeer {
  readonly #lane: Lane
  readonly #deps: BackDeps
  #down = false

  constructor(lane: Lane, deps: BackDeps) {
    this.#lane = lane
    this.#deps = deps
  }

  receive(message: Message): void {
    if (this.#down) return
    const { retrieval, scheduler } = this.#deps
    const { backend } = this.#lane
    this.heard()
    for (const block of message.blocks) this.#block(block)
    for (const presence of message.presences) {
      const cid = parseCid(presence.cid)
      if (typeof cid === 'string') this.refuse(cid)
      else retrieval.presence(cid.multihash, backend, presence.have)
    }
    if (message.wants.length > 0 || message.full) this.#wants(message)
    scheduler.run()
  }

  /** The backend gave a sign of life. */
  heard(): void {
    this.#lane.backend.heardMs = this.#deps.clock.now()
    if (this.#lane.backend.state !== 'ready') this.#deps.changed(this.#lane)
  }

  /** Returns the next message to send, or undefined when there is none. */
  take(version: Version): Uint8Array[] | undefined {
    const { supplies } = this.#lane
    supplies.release()
    const frame = this.#lane.take(this.#deps.clock.now())
    return frame === undefined ? supplies.take(version) : [frame]
  }

  /** Counts input that was refused before it could be a message. */
  refuse(reason: RefusalReason): void {
    this.#deps.counters.refusedBackend[reason]++
  }

  /** The lane's connection is gone: what was asked on it is asked elsewhere. */
  close(): void {
    if (this.#down) return
    this.#down = true
    const { backend } = this.#lane
    for (const want of backend.wants.retain(this.#lane.slot, none)) this.#deps.pulls.unwanted(want)
    const asks = this.#lane.disconnect()
    this.#deps.changed(this.#lane)
    this.#deps.retrieval.moved(asks, backend)
    this.#deps.scheduler.run()
  }

  /** What the backend wants of us. */
  #wants(message: Message): void {
    const { pulls, counters, clock } = this.#deps
    const { backend, slot } = this.#lane
    const verdicts = counters.backWants
    const kept = message.full ? new Set<CidKey>() : undefined
    const nowMs = clock.now()
    for (const entry of message.wants) {
      const cid = parseCid(entry.cid)
      if (typeof cid === 'string') {
        verdicts.refused++
      } else if (entry.cancel) {
        const want = backend.wants.cancel(slot, cid)
        if (want !== undefined) pulls.unwanted(want)
      } else {
        kept?.add(cid.key)
        const want = backend.wants.want(backend, slot, cid, nowMs)
        if (want !== undefined && pulls.wanted(want)) verdicts.granted++
        else verdicts.ignored++
      }
    }
    if (kept === undefined) return
    for (const want of backend.wants.retain(slot, kept)) pulls.unwanted(want)
  }

  #block(entry: BlockEntry): void {
    const { retrieval, whereabouts, digestOf } = this.#deps
    const prefix = entry.prefix === undefined ? bareBlockPrefix : parsePrefix(entry.prefix)
    if (prefix === undefined) return this.refuse('bad-cid')
    const key = hashBlock(digestOf, prefix, entry)
    if (key === undefined) return this.refuse('unknown-hash')
    if (retrieval.block(key, prefix.codec, entry.bytes, this.#lane.backend)) return
    // A second copy, or a block that crossed our cancel, is no fault; what never was asked for is one.
    this.refuse(this.#lane.tookBack(key) || whereabouts.known(key) ? 'unwanted-block' : 'wrong-block')
  }
}

const none: ReadonlySet<CidKey> = new Set()
