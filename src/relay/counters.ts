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
  /** More handshakes of one address, or of all, that are not over. */
  'too-many-handshakes',
  /** A connection that came while draining. */
  'draining',
  /** A connection without a PROXY header where one is due: none, not whole in time, or none that is well formed. */
  'bad-proxy-header',
  /** A TLS handshake that failed: no TLS at all, too old, not done in time, or a client that turned the certificate down. */
  'bad-tls-handshake',
  /** A connection where PROXY headers are due, from an address that KITSUNE_TRUSTED_PROXIES does not name. */
  'untrusted-proxy',
  /** A connection whose peer has another swarm key than the front, or none. */
  'wrong-swarm-key',
  /** A request whose X-Forwarded-For and Forwarded name different clients: one of them is forged. */
  'forwarding-contradiction',
  /** More HTTP requests under way on one socket than one client has use for. */
  'too-many-requests-on-a-socket',
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

/** How a request at a backend's gateway ended; in all but the first case the want went on by Bitswap. */
export const gatewayOutcomes = [
  'found',
  'absent',
  'timeout',
  'unreachable',
  'refused',
  'wrong-block',
] as const

/** How a refs ended for its caller; see `RefsFailure`. `abandoned`: its caller left before. */
export const refsOutcomes = [
  'done',
  'backend',
  'no-backend',
  'no-client',
  'limit',
  'timeout',
  'draining',
  'abandoned',
] as const

/** Why a refs was not taken. */
export const refsRefusals = ['rate', 'calls-per-address', 'calls-total', 'draining', 'no-backend'] as const

/** What became of a grant. */
export const grantOutcomes = ['done', 'failed', 'abandoned'] as const

/** What was made of a want of a backend: pulled from clients, or none of our business. */
export const backWantVerdicts = ['granted', 'ignored', 'refused'] as const

const refsBoundsMs = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000]
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
  readonly gateway = zeroes(gatewayOutcomes)
  /** Bytes of the blocks that came from gateways, verified; they are in `bytesIn` as well. */
  gatewayBytes = 0
  readonly refsEnded = zeroes(refsOutcomes)
  readonly refsRefused = zeroes(refsRefusals)
  readonly grantsEnded = zeroes(grantOutcomes)
  /** Wants of backends, by what was made of them. */
  readonly backWants = zeroes(backWantVerdicts)
  /** want-block and want-have sent to clients. */
  clientAsks = 0
  /** Blocks and their bytes that clients brought, verified; those that came twice are in `refusedClient`. */
  pulledBlocks = 0
  pulledBytes = 0
  /** Blocks and their bytes given to backends that wanted them, wherever they came from. */
  suppliedBlocks = 0
  suppliedBytes = 0
  /** Further copies of a DAG, on further backends. */
  readonly copies = { made: 0, failed: 0 }
  readonly preloadTrouble = { lost: 0, 'no-copy': 0 }
  /** From a refs to its end, as its caller sees it. */
  readonly refsDurationMs = new Histogram(refsBoundsMs)
  /** Faults that no part caught; the process goes on. */
  uncaughtFaults = 0
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
  /** Refs of callers under way. */
  readonly refs: number
  /** Grants that are open, and the blocks that they cover. */
  readonly grants: number
  readonly grantedBlocks: number
  /** Blocks that are being pulled from clients for backends. */
  readonly pulls: number
  /** Block bytes queued for backends. */
  readonly supplyBytes: number
}
