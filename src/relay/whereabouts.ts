import type { MultihashKey } from '#src/bitswap/cid.ts'
import type { Backend } from '#src/relay/backend.ts'
import { CappedMap } from '#src/util/capped-map.ts'

/**
 * Where blocks are: presence memory (a backend had the block) and link memory (a backend had a block that
 * links to it). A DAG lives on the backend that fetched it, so what was learned at its root answers for
 * its leaves: hashing each CID on its own would scatter it.
 *
 * Invariant: it only ever orders who is asked first; nobody is told HAVE because of it. Memory: `capacity`
 * entries, the least recently used forgotten.
 */
export class Whereabouts {
  readonly #places: CappedMap<MultihashKey, Place>

  constructor(capacity = 200_000) {
    this.#places = new CappedMap(capacity)
  }

  get size(): number {
    return this.#places.size
  }

  /** Returns the backend most likely to have the block. */
  find(key: MultihashKey): Backend | undefined {
    return this.#places.get(key)?.backend
  }

  /** Says that the backend itself had the block, so far as is known. */
  has(key: MultihashKey, backend: Backend): boolean {
    const place = this.#places.peek(key)
    return place?.backend === backend && place.seen
  }

  /** Says that some backend had the block, so that a second copy of it is no surprise. */
  known(key: MultihashKey): boolean {
    return this.#places.peek(key)?.seen === true
  }

  /** The backend has the block. */
  saw(key: MultihashKey, backend: Backend): void {
    this.#places.set(key, backend.seenPlace)
  }

  /** The backend has a block that links to this one. */
  linked(key: MultihashKey, backend: Backend): void {
    if (this.#places.peek(key)?.seen !== true) this.#places.set(key, backend.linkedPlace)
  }

  /** The backend does not have the block. */
  missed(key: MultihashKey, backend: Backend): void {
    if (this.#places.peek(key)?.backend === backend) this.#places.delete(key)
  }
}

/** An entry; each backend has two for all its blocks, so that one costs no object of its own. */
export interface Place {
  readonly backend: Backend
  readonly seen: boolean
}
