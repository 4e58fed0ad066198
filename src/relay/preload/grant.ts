import type { MultihashKey } from '#src/bitswap/cid.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Account } from '#src/relay/preload/accounts.ts'
import type { Pull } from '#src/relay/preload/pull.ts'
import type { RefsRoot } from '#src/relay/preload/refs.ts'
import type { Supplier } from '#src/relay/preload/supplier.ts'

/**
 * Leave for backends to have one DAG pulled from the clients at the addresses that asked for it.
 *
 * Invariant: `covered` is the root and what verified blocks under it link to, nothing else; `unread` is part of it.
 * Memory: the keys in `covered`, which `Grants` caps; everything goes when the grant is closed.
 */
export class Grant {
  readonly root: RefsRoot
  /** How deep under the root each block was first seen. */
  readonly covered = new Map<MultihashKey, number>()
  /** What of it was not seen yet, so that its links are not known; each with when it may be asked of the pool. */
  readonly unread = new Map<MultihashKey, number>()
  /** Whose clients may be asked, each as often as it has a call under this grant. */
  readonly accounts = new Map<Account, number>()
  readonly pulls = new Set<Pull>()
  /** When each backend last wanted something under it. */
  readonly wantedMs = new Map<Backend, number>()
  /** Who brought the last block: asked first for the next. */
  source: Supplier | undefined
  bytes = 0
  /** When something last came of it. */
  progressMs: number
  /** It asked for more than may be. */
  exceeded = false

  constructor(root: RefsRoot, nowMs: number) {
    this.root = root
    this.progressMs = nowMs
  }
}
