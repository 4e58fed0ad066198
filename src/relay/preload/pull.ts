import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import type { BackWant } from '#src/relay/preload/back-wants.ts'
import type { Grant } from '#src/relay/preload/grant.ts'
import type { ClientAsk, Supplier } from '#src/relay/preload/supplier.ts'

/**
 * One block that backends want and that a grant allows to be pulled from clients.
 *
 * Invariant: it lives as long as a backend wants it and a grant covers it. Memory: a want per backend, an ask
 * per client at the granted addresses.
 */
export class Pull {
  /** The form in which the backend asked for it first. */
  readonly cid: CidKey
  readonly multihash: MultihashKey
  readonly codec: number
  readonly grants = new Set<Grant>()
  readonly wants = new Set<BackWant>()
  /** What was asked of clients, in the order of asking. */
  readonly asks = new Map<Supplier, ClientAsk>()
  /** The client in whose line it stands: that one has all it can take for now. */
  standsAt: Supplier | undefined
  /** Takes back the question to the pool that is under way. */
  stopReading: (() => void) | undefined
  /** The pool was asked: it is not asked again. */
  read = false
  /** When it is to be looked at again: somebody had time enough to answer. */
  lookMs = Number.POSITIVE_INFINITY
  /** Clients that were asked for the block one after the other. */
  tries = 0

  constructor(want: BackWant) {
    this.cid = want.cid
    this.multihash = want.multihash
    this.codec = want.codec
  }
}
