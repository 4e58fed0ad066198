import { rendezvous } from '#src/util/rendezvous.ts'

/**
 * The order in which the backends of a pool are tried for a key, as pure iterators: failover is taking the
 * next. A policy sees members and a key, nothing else; who is ready is decided by whoever iterates.
 */

/** What a policy may know of a backend. */
export interface Member {
  /** Unique, and the same after a restart and on every edge. */
  readonly name: string
}

/**
 * Yields the members by their affinity to `key`: every edge picks the same first one, so a block that
 * nobody knows yet is looked for, and fetched, in one place.
 */
export function* byAffinity<M extends Member>(key: string, members: readonly M[]): Generator<M> {
  yield* rendezvous(key, members, (member) => member.name)
}
