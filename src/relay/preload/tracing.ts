import { type CidKey, codecs, type MultihashKey } from '#src/bitswap/cid.ts'
import type { Grant } from '#src/relay/preload/grant.ts'
import type { PoolReader } from '#src/relay/preload/pool-reader.ts'

/**
 * Follows a DAG through what the pool has already. A backend does not want of us what it has: what that links to would
 * never be covered, and what of it the backend does want (a browser that comes back after half of it was fetched) would
 * be ignored. So while a backend waits, what the grant covers and nobody has seen is read from the pool; `Pulls` extends
 * the grant by it.
 *
 * Invariant: only what the grant covers is read, and at most `mostReads` blocks of it. Memory: `atOnce` questions.
 */

const atOnce = 8
/** Of all tracings together: the pool has better things to do. */
const atOnceInAll = 32
/** Blocks read for one grant: a directory of a thousand files, half of it there. */
const mostReads = 2_048
const readMs = 2_000
/** What the pool had not is asked for again after this: a backend may have got it elsewhere. */
const againMs = 5_000

export class Tracing {
  readonly #grant: Grant
  readonly #reader: PoolReader
  readonly #stops = new Set<() => void>()
  #reads = 0

  constructor(grant: Grant, reader: PoolReader) {
    this.#grant = grant
    this.#reader = reader
  }

  /** Reads on. To be called while a backend waits for something that is not pulled. */
  tick(nowMs: number): void {
    for (const [key, atMs] of this.#grant.unread) {
      if (this.#stops.size >= atOnce || this.#reader.size >= atOnceInAll || this.#reads >= mostReads) return
      if (atMs <= nowMs) this.#read(key, nowMs)
    }
  }

  stop(): void {
    for (const stop of this.#stops) stop()
    this.#stops.clear()
  }

  #read(key: MultihashKey, nowMs: number): void {
    const { unread } = this.#grant
    // To the end: the next ones come first.
    unread.delete(key)
    unread.set(key, nowMs + againMs)
    this.#reads++
    const stop = this.#reader.read({ cid: asRaw(key), multihash: key }, 'block', readMs, () => {
      this.#stops.delete(stop)
    })
    this.#stops.add(stop)
  }
}

/** Backends find blocks by multihash, whatever the codec in the CID. */
function asRaw(key: MultihashKey): CidKey {
  return `\x01${String.fromCharCode(codecs.raw)}${key}` as CidKey
}
