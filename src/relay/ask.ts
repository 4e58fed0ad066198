import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Lane } from '#src/relay/lane.ts'

/**
 * One question to one backend: do you have this block, or give it to me. It is in the ledger that the
 * backend keeps of its lane from the moment it is sent until the block came or a cancel went out; one that is
 * under way at the backend's gateway is in no ledger.
 */
export interface Ask {
  readonly cid: CidKey
  readonly multihash: MultihashKey
  readonly backend: Backend
  lane: Lane
  kind: 'block' | 'have'
  /** When it was sent, by the Clock; undefined while it waits in its lane. */
  sentMs: number | undefined
  /** What came back. `gave-up`: nothing did, for too long. */
  verdict: 'have' | 'dont-have' | 'gave-up' | undefined
  /** Unanswered for so long that others are asked too. */
  slow: boolean
  /** Ends the request at the backend's gateway while the ask is under way there; it is in no lane then. */
  abandon?: (() => void) | undefined
  /** The backend gave this block before: some (Helia) ignore a repeated want unless it was cancelled. */
  readonly again: boolean
}
