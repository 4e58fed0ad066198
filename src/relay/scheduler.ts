import type { Answers } from '#src/relay/answers.ts'
import type { BlockCache } from '#src/relay/cache.ts'
import type { Client } from '#src/relay/client.ts'
import type { Counters } from '#src/relay/counters.ts'
import type { Clock } from '#src/relay/ports.ts'
import type { Retrieval } from '#src/relay/retrieval.ts'

/**
 * Whose want is looked for next. Clients with wants that wait take turns, a few wants each; a client is
 * passed over while its window or its bandwidth is used up, and everyone waits while the backends are full.
 * This is where a slow reader is held back: what it does not read is not asked for.
 *
 * Invariant: a client with waiting wants is in the ring. Memory: one entry per such client.
 */

/** Wants that one client may start before the next client's turn. */
const turn = 16

export class Scheduler {
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #cache: BlockCache
  readonly #answers: Answers
  readonly #retrieval: Retrieval
  /** Clients with wants that wait, the next one first. */
  readonly #ring = new Set<Client>()
  #running = false

  constructor(deps: {
    clock: Clock
    counters: Counters
    cache: BlockCache
    answers: Answers
    retrieval: Retrieval
  }) {
    this.#clock = deps.clock
    this.#counters = deps.counters
    this.#cache = deps.cache
    this.#answers = deps.answers
    this.#retrieval = deps.retrieval
  }

  /** Clients with wants that wait. */
  get waiting(): number {
    return this.#ring.size
  }

  remove(client: Client): void {
    this.#ring.delete(client)
  }

  /** Starts what may be started for one client: it has new wants, or room again. */
  serve(client: Client): void {
    if (client.hasWaiting) this.#ring.add(client)
    this.run(client)
  }

  /**
   * Starts what may be started, for everyone or only for one client. Each client in the ring is looked at
   * once; those that could go on after their turn are looked at again.
   */
  run(only?: Client): void {
    if (this.#running) return
    this.#running = true
    try {
      this.#rounds(only)
    } finally {
      this.#running = false
    }
  }

  #rounds(only: Client | undefined): void {
    const nowMs = this.#clock.now()
    let round: Client[] = only === undefined ? [...this.#ring] : [only]
    while (round.length > 0) {
      const again: Client[] = []
      for (const client of round) {
        if (!this.#ring.has(client)) continue
        const started = this.#turn(client, nowMs)
        // Who got nothing keeps its place: with every place that comes free the next one in line is served.
        if (started > 0 || !client.hasWaiting) this.#ring.delete(client)
        if (client.hasWaiting) this.#ring.add(client)
        if (started === turn) again.push(client)
      }
      round = again
    }
  }

  /** Gives one client its turn; returns how many wants it started. Its own limits or full backends may end it. */
  #turn(client: Client, nowMs: number): number {
    let started = 0
    for (; started < turn; started++) {
      const want = client.nextWaiting()
      if (want === undefined || !client.mayActivate() || client.byteBucket.delayMs(nowMs) > 0) break
      const cached = this.#cache.enabled ? this.#cache.get(want.multihash) : undefined
      if (cached !== undefined) {
        client.dequeue(want)
        this.#counters.cacheHits++
        this.#answers.block(want, cached)
        continue
      }
      if (!this.#retrieval.pendings.has(want.multihash) && !this.#retrieval.hasRoom) break
      client.dequeue(want)
      if (this.#cache.enabled) this.#counters.cacheMisses++
      this.#retrieval.want(want)
    }
    return started
  }
}
