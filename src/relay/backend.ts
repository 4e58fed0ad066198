import { type MultihashKey, prefixOf } from '#src/bitswap/cid.ts'
import type { BackendState } from '#src/pool/backend.ts'
import type { Ask } from '#src/relay/ask.ts'
import { BlockSizes } from '#src/relay/block-sizes.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import { Gateway } from '#src/relay/gateway.ts'
import { Lane } from '#src/relay/lane.ts'
import type { FetchByRpc, ReadByGateway } from '#src/relay/ports.ts'
import { type BackWant, BackWants, formsOf } from '#src/relay/preload/back-wants.ts'
import type { KeepByRpc, RefsByRpc } from '#src/relay/preload/refs.ts'
import type { Place } from '#src/relay/whereabouts.ts'
import { Histogram } from '#src/util/histogram.ts'
import type { Body } from '#src/util/pieces.ts'

/** Bounds a lane below the 1,024 wants that a backend keeps per peer, cancels in flight included. */
const laneWindow = 768

/** What a backend can be told to do by HTTP; absent where it has no RPC, or no gateway. */
export interface BackendRpc {
  /** To fetch a block from wherever it can. */
  readonly fetch?: FetchByRpc | undefined
  /** To fetch a DAG. */
  readonly refs?: RefsByRpc | undefined
  /** To keep a DAG that it fetched; absent where it need not. */
  readonly keep?: KeepByRpc | undefined
  /** To hand out a block that it has. */
  readonly gateway?: ReadByGateway | undefined
}

/**
 * One node of the pool as the relay sees it: its lanes, whether it answers, what it did.
 *
 * Invariant: `ready` exactly when a lane is up and the backend is not silent on everything it was asked.
 * Memory: its lanes.
 */
export class Backend {
  /** As configured, without credentials; unique. */
  readonly name: string
  readonly lanes: readonly Lane[]
  readonly rpc: BackendRpc
  /** What it wants of us. */
  readonly wants = new BackWants()
  /** The second road for its large blocks. */
  readonly gateway: Gateway | undefined
  /** What is known of the size of its blocks. */
  readonly sizes = new BlockSizes()
  readonly seenPlace: Place
  readonly linkedPlace: Place
  readonly latencyMs = new Histogram([1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000])
  blocks = 0
  bytes = 0
  /** When a message last came from it. */
  heardMs = Number.NEGATIVE_INFINITY
  /** When its last lane went down or it fell silent; at first, when it was added. */
  lostMs = Number.NEGATIVE_INFINITY
  /** When it was last tried without a sign of life since it fell silent. */
  triedMs = Number.NEGATIVE_INFINITY
  /** Until then it is not asked: it was silent on everything. */
  silentUntilMs = Number.NEGATIVE_INFINITY
  state: BackendState = 'connecting'

  constructor(name: string, lanes: number, rpc: BackendRpc, supplies: Buffers) {
    this.name = name
    this.rpc = rpc
    this.gateway = rpc.gateway && new Gateway(rpc.gateway)
    this.lanes = Array.from({ length: lanes }, (_, slot) => new Lane(this, slot, laneWindow, supplies))
    this.seenPlace = { backend: this, seen: true }
    this.linkedPlace = { backend: this, seen: false }
  }

  get ready(): boolean {
    return this.state === 'ready'
  }

  get up(): boolean {
    return this.lanes.some((lane) => lane.up)
  }

  get hasRoom(): boolean {
    return this.lanes.some((lane) => lane.hasRoom)
  }

  get outstanding(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.outstanding, 0)
  }

  /**
   * Returns the lane for a block: its slice's own if that is up and has room, else the emptiest that is up.
   * A slice keeps to its lane so that a want, its repeat and its cancel meet in one ledger.
   */
  laneFor(key: MultihashKey): Lane | undefined {
    const own = this.lanes[key.charCodeAt(key.length - 1) % this.lanes.length]
    if (own?.hasRoom) return own
    let best: Lane | undefined
    for (const lane of this.lanes) {
      if (lane.up && (best === undefined || lane.outstanding < best.outstanding)) best = lane
    }
    return best
  }

  /** Sends a block that it wants, by each CID by which it does, on the least loaded of the lanes on which it asked. */
  supply(want: BackWant, bytes: Body): void {
    for (const { cid, lanes } of formsOf(want)) {
      let best: Lane | undefined
      for (const lane of this.lanes) {
        if (!lane.up || (lanes & (1 << lane.slot)) === 0) continue
        if (best === undefined || lane.supplies.bytes < best.supplies.bytes) best = lane
      }
      best?.supply(prefixOf(cid, want.multihash), bytes)
    }
  }

  /** Puts an ask on the lane for its block; false when no lane is up. */
  place(ask: Ask, nowMs: number): boolean {
    const lane = this.laneFor(ask.multihash)
    lane?.ask(ask, nowMs)
    return lane !== undefined
  }
}
