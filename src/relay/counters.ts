import { Histogram } from '#src/util/histogram.ts'

/**
 * Everything the core counts, as plain fields: the hot path adds to them, telemetry reads them when it is
 * scraped. Monotonic unless said otherwise. Bounded: reasons and outcomes are closed lists.
 */

/** Why a peer's input was not acted on. One word each: they are metric labels. */
export const refusalReasons = [
  /** A frame or message over the protocol's size limit; its stream is reset. */
  'message-too-big',
  /** Bytes that are no Bitswap message; its stream is reset. */
  'malformed',
  /** A want whose CID does not parse. */
  'bad-cid',
  /** A CID longer than Bitswap serves (168 bytes). */
  'cid-too-long',
  /** An identity CID: its content is inside it, nothing is to be fetched. */
  'identity-cid',
  /** A hash function that we cannot verify. */
  'unknown-hash',
  /** More wants outstanding than one client may have. */
  'too-many-wants',
  /** The wants of all clients leave no more room for this one's. */
  'edge-full',
  /** A block nobody asked this peer for. */
  'unwanted-block',
  /** A block that does not hash to what was asked for. */
  'wrong-block',
  /** A block over the size Bitswap serves (2 MiB). */
  'block-too-big',
  /** More streams open at once than one client may have. */
  'too-many-streams',
  /** A stream protocol that is not served here. */
  'unknown-protocol',
  /** A stream that was opened, or a message that was begun, and then left. */
  'idle-stream',
  /** Connections over the limit in all. */
  'too-many-connections',
  /** Connections over the limit for one address. */
  'too-many-connections-per-address',
  /** A connection that came while draining. */
  'draining',
] as const
export type RefusalReason = (typeof refusalReasons)[number]

/** How a want of a client ended. */
export const wantOutcomes = [
  /** The block was sent. */
  'block',
  /** HAVE was sent. */
  'have',
  /** DONT_HAVE was sent; the block may still follow. */
  'dont-have',
  /** The client took it back. */
  'cancelled',
  /** The client's last connection closed. */
  'gone',
  /** It was refused; see the refusal reasons. */
  'refused',
] as const

/** How a fetch by the miss policy ended. */
export const missOutcomes = ['found', 'not-found', 'timeout', 'error', 'over-budget', 'no-backend'] as const

const latencyBoundsMs = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]

function zeroes<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>
}

export class Counters {
  /** Client input refused, by reason. */
  readonly refusedClient = zeroes(refusalReasons)
  /** Backend input refused, by reason. */
  readonly refusedBackend = zeroes(refusalReasons)
  /** Wants that clients sent, repeats of an outstanding one not counted. */
  wants = 0
  readonly wantsEnded = zeroes(wantOutcomes)
  /** Blocks and their bytes sent to clients. */
  blocksOut = 0
  bytesOut = 0
  /** Blocks and their bytes received from backends, verified. */
  blocksIn = 0
  bytesIn = 0
  cacheHits = 0
  cacheMisses = 0
  /** Wants that joined one already pending: one backend want served several clients. */
  coalesced = 0
  /** want-block and want-have sent to backends. */
  asks = 0
  /** Asks that a backend left unanswered for too long, so that others were asked. */
  stalledAsks = 0
  /** Asks moved because their lane was lost. */
  movedAsks = 0
  /** Blocks dropped because their reader's buffer was full; they are asked for again when it has room. */
  deferredBlocks = 0
  readonly misses = zeroes(missOutcomes)
  /** From a client's want to the block's handing to its connection. */
  readonly wantLatencyMs = new Histogram(latencyBoundsMs)
}

/** Sizes of what the core holds now, not monotonic: the proof that everything is bounded. */
export interface Gauges {
  /** Clients connected that speak Bitswap. */
  readonly clients: number
  /** Wants of clients that are held, whatever their state. */
  readonly wants: number
  /** Distinct blocks being looked for at backends. */
  readonly pending: number
  /** Block bytes queued for clients. */
  readonly outboxBytes: number
  readonly cacheBytes: number
  readonly cacheBlocks: number
  /** Entries of the memory of which backend has what. */
  readonly presenceEntries: number
  readonly missesUnderWay: number
}
