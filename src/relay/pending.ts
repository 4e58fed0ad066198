import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import type { Ask } from '#src/relay/ask.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { ClientWant } from '#src/relay/client.ts'

/**
 * `asking`: backends are being asked. `fetching`: all said no, and one was told to get it from elsewhere.
 * `parked`: nobody has it for now; asked again later, and when a backend comes back.
 */
export type Phase = 'asking' | 'fetching' | 'parked'

/**
 * One block that is being looked for, on behalf of everyone who wants it.
 *
 * Invariant: `blockWaiters` counts the waiters that want the block itself; the asks are those made in this
 * round of asking, one per backend. Lives as long as it has a waiter. Memory: its waiters (each a want in
 * a client's ledger) and one ask per backend.
 */
export class Pending {
  /** The CID that backends are asked by: the form in which it was wanted first. */
  readonly cid: CidKey
  readonly multihash: MultihashKey
  readonly waiters = new Set<ClientWant>()
  blockWaiters = 0
  phase: Phase = 'asking'
  readonly asks = new Map<Backend, Ask>()
  /** More than the first backend is to be asked: it said no, or nothing for too long. */
  wide = false
  /** A backend was lost while it was asked, so "everyone was asked" is not true yet. */
  interrupted = false
  /** Rounds of asking that ended with nobody having it. */
  rounds = 0
  /** When a parked one is asked for again. */
  nextAskMs = 0
  /** When a backend was last told to fetch it. */
  fetchedMs = Number.NEGATIVE_INFINITY
  /** Abandons the fetch under way or waiting. */
  abandonFetch: (() => void) | undefined

  constructor(cid: CidKey, multihash: MultihashKey) {
    this.cid = cid
    this.multihash = multihash
  }

  add(want: ClientWant): void {
    this.waiters.add(want)
    want.pending = this
    if (want.block) this.blockWaiters++
  }

  /** Takes a waiter out; true if it was the last. */
  remove(want: ClientWant): boolean {
    if (this.waiters.delete(want)) {
      want.pending = undefined
      if (want.block) this.blockWaiters--
    }
    return this.waiters.size === 0
  }

  /** Whether a backend is to say something soon. */
  hasOpenAsk(kind?: 'block'): boolean {
    for (const ask of this.asks.values()) {
      if (ask.verdict === undefined && !ask.slow && (kind === undefined || ask.kind === kind)) return true
    }
    return false
  }
}
