import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import { byAffinity } from '#src/pool/policy.ts'
import type { Answers } from '#src/relay/answers.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Counters } from '#src/relay/counters.ts'
import type { Pending } from '#src/relay/pending.ts'
import type { Clock, FetchResult } from '#src/relay/ports.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'

/**
 * What happens when no backend has a block: one of them is told by RPC to fetch it, while those who want
 * it wait; those who asked to be told hear DONT_HAVE in time for their session timers.
 *
 * Invariant: one fetch per block at a time, `concurrency` in all, each charged to one client's budget and
 * bounded by `timeoutMs`; what comes back is verified like any block. Memory: the pendings it was given,
 * each of which has a waiter; a pending that ends takes itself out.
 */

export interface MissOptions {
  readonly mode: 'fetch' | 'dont-have'
  readonly timeoutMs: number
  readonly concurrency: number
  readonly answerAfterMs: number
  /** The same block is not fetched again before this. */
  readonly againAfterMs: number
}

export interface MissDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly backends: readonly Backend[]
  readonly whereabouts: Whereabouts
  readonly answers: Answers
  /** Says whether the bytes are the block with that CID, and its codec; undefined if they are not. */
  readonly verify: (cid: CidKey, multihash: MultihashKey, bytes: Uint8Array) => number | undefined
}

/** What a pending's owner is told, exactly one of them, once, unless it abandons the fetch first. */
export interface MissOutcome {
  found(bytes: Uint8Array, codec: number, backend: Backend): void
  nowhere(): void
}

export class Misses {
  readonly #deps: MissDeps
  readonly #options: MissOptions
  /** Since when each is being fetched, or waits for a fetch to end; the oldest first. */
  readonly #misses = new Map<Pending, number>()
  readonly #waiting = new Map<Pending, () => void>()
  #underWay = 0

  constructor(deps: MissDeps, options: MissOptions) {
    this.#deps = deps
    this.#options = options
  }

  get underWay(): number {
    return this.#underWay
  }

  /** Takes over a block that no backend has. */
  start(pending: Pending, outcome: MissOutcome): void {
    const { clock, counters } = this.#deps
    const nowMs = clock.now()
    if (this.#options.mode === 'dont-have') return outcome.nowhere()
    const asked = [...pending.waiters].filter((want) => want.answered === undefined)
    if (asked.length === 0) return outcome.nowhere()
    if (nowMs - pending.fetchedMs < this.#options.againAfterMs) return outcome.nowhere()
    const payer = asked.find((want) => want.client.fetchBucket.delayMs(nowMs) === 0)
    if (payer === undefined) {
      counters.misses['over-budget']++
      return outcome.nowhere()
    }
    payer.client.fetchBucket.take(1, nowMs)
    pending.fetchedMs = nowMs
    this.#misses.set(pending, nowMs)
    this.#waiting.set(pending, () => this.#run(pending, outcome))
    pending.abandonFetch = () => {
      this.#waiting.delete(pending)
      this.#misses.delete(pending)
    }
    this.#runNext()
  }

  /** Tells DONT_HAVE to those who have waited long enough for a fetch. */
  tick(nowMs: number): void {
    for (const [pending, sinceMs] of this.#misses) {
      if (nowMs - sinceMs < this.#options.answerAfterMs) break
      if (pending.hasOpenAsk()) continue
      for (const want of pending.waiters) this.#deps.answers.dontHave(want)
    }
  }

  #runNext(): void {
    for (const [pending, run] of this.#waiting) {
      if (this.#underWay >= this.#options.concurrency) return
      this.#waiting.delete(pending)
      run()
    }
  }

  #run(pending: Pending, outcome: MissOutcome): void {
    const { counters } = this.#deps
    const backend = this.#choose(pending)
    if (backend?.rpc.fetch === undefined) {
      counters.misses['no-backend']++
      this.#misses.delete(pending)
      return outcome.nowhere()
    }
    this.#underWay++
    const end = (): void => {
      this.#underWay--
      this.#misses.delete(pending)
    }
    const abandon = backend.rpc.fetch(pending.cid, this.#options.timeoutMs, (result) => {
      end()
      pending.abandonFetch = undefined
      this.#ended(pending, backend, result, outcome)
      this.#runNext()
    })
    pending.abandonFetch = () => {
      end()
      abandon()
      this.#runNext()
    }
  }

  #ended(pending: Pending, backend: Backend, result: FetchResult, outcome: MissOutcome): void {
    const { counters, verify } = this.#deps
    if (result.kind !== 'found') {
      counters.misses[result.kind]++
      return outcome.nowhere()
    }
    const codec = verify(pending.cid, pending.multihash, result.bytes)
    if (codec === undefined) {
      counters.misses.error++
      counters.refusedBackend['wrong-block']++
      return outcome.nowhere()
    }
    counters.misses.found++
    outcome.found(result.bytes, codec, backend)
  }

  /** The backend that has the DAG gets the rest of it; else the pool's policy decides. */
  #choose(pending: Pending): Backend | undefined {
    const known = this.#deps.whereabouts.find(pending.multihash)
    if (known?.ready && known.rpc.fetch !== undefined) return known
    for (const backend of byAffinity(pending.multihash, this.#deps.backends)) {
      if (backend.ready && backend.rpc.fetch !== undefined) return backend
    }
    return undefined
  }
}
