import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import { Buffers } from '#src/relay/buffers.ts'
import { Client, type ClientWant } from '#src/relay/client.ts'
import type { Clock } from '#src/relay/ports.ts'
import type { Retrieval } from '#src/relay/retrieval.ts'

/**
 * Asks the pool on behalf of the edge itself: whether anyone has a block, or for the block. To the retrieval
 * it is one more client, whose answers come here.
 *
 * Invariant: every question ends once, by an answer, by its time, or by being taken back. Memory: one want per
 * question, which whoever asks bounds.
 */

export interface PoolReaderDeps {
  readonly clock: Clock
  readonly retrieval: Retrieval
}

/** What is asked for. */
export interface Wanted {
  readonly cid: CidKey
  readonly multihash: MultihashKey
}

const unlimited = {
  wants: 0,
  wantsPerSecond: Number.POSITIVE_INFINITY,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  fetchesPerMinute: 0,
}

export class PoolReader {
  readonly #deps: PoolReaderDeps
  readonly #client: Client
  /** Open questions, with the time at which each is given up. */
  readonly #open = new Map<ClientWant, number>()

  constructor(deps: PoolReaderDeps) {
    this.#deps = deps
    const buffers = new Buffers(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    this.#client = new Client({ wake() {} }, unlimited, buffers, { wants: 0 }, deps.clock.now())
  }

  /** Questions that are open. */
  get size(): number {
    return this.#open.size
  }

  /**
   * Asks; `done` hears whether it was found, never from inside this call, at the latest after `timeoutMs`. The
   * block itself goes the way of all blocks. Returns how to take the question back.
   */
  read(
    wanted: Wanted,
    kind: 'block' | 'have',
    timeoutMs: number,
    done: (found: boolean) => void,
  ): () => void {
    const { clock, retrieval } = this.#deps
    const nowMs = clock.now()
    const answered = (found: boolean): void => {
      if (!this.#open.delete(want)) return
      retrieval.leave(want)
      done(found)
    }
    const entry = {
      cid: new Uint8Array(0),
      priority: 1,
      cancel: false,
      have: kind === 'have',
      sendDontHave: true,
    }
    const parsed = { key: wanted.cid, multihash: wanted.multihash, codec: 0, hashCode: 0, digestLength: 0 }
    const want: ClientWant = { ...this.#client.createWant(entry, parsed, nowMs, 0), answered }
    this.#open.set(want, nowMs + timeoutMs)
    retrieval.want(want)
    return () => {
      if (this.#open.delete(want)) retrieval.leave(want)
    }
  }

  /** Gives up what has waited long enough. */
  tick(nowMs: number): void {
    for (const [want, untilMs] of this.#open) if (untilMs <= nowMs) want.answered?.(false)
  }
}
