import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'

/**
 * What a `refs` is, to those who ask for it (HTTP), to those who do it (a backend's RPC) and to the relay
 * between them. Shapes only.
 */

/** What is to be listed, and thereby fetched: as Kubo's `refs` takes it, checked. */
export interface RefsQuery {
  /** `<cid>` or `/ipfs/<cid>/a/b`: what a backend is told. */
  readonly arg: string
  /** The CID that it begins with. */
  readonly root: RefsRoot
  readonly recursive: boolean
  readonly unique: boolean
  readonly edges: boolean
  /** -1 is no limit; only with `recursive`. */
  readonly maxDepth: number
  /** Empty: Kubo's own, `<dst>`. */
  readonly format: string
}

/** A root by its CID. `inline` holds the block of an identity CID, which is inside the CID itself. */
export interface RefsRoot {
  readonly cid: CidKey
  readonly multihash: MultihashKey
  readonly codec: number
  readonly inline?: Uint8Array
}

/** How a refs ended. */
export type RefsEnd =
  | { readonly kind: 'done' }
  /** It came to nothing, in words that a client may see: no backend, no address, no other client in them. */
  | { readonly kind: 'failed'; readonly reason: RefsFailure; readonly message: string }

/**
 * Why a refs failed. `backend`: a backend said so. `no-backend`: none could take it, or all that did were
 * lost. `no-client`: nobody at the caller's address brought the content in time. `limit`: larger or deeper
 * than may be. `timeout`: the caller's own time, or the longest that a refs may take, was over. `draining`:
 * the edge stops.
 */
export type RefsFailure = 'backend' | 'no-backend' | 'no-client' | 'limit' | 'timeout' | 'draining'

/** A call under way, as its caller sees it. */
export interface RefsCall {
  /** A backend has accepted the work: only from then on may the caller be told 2xx. */
  readonly accepted: boolean
  /** Takes what came since it was last asked: whole lines of Kubo's answer, each with its newline. */
  read(): readonly Uint8Array[]
  /** How it ended; undefined while lines may still come or are unread. */
  readonly end: RefsEnd | undefined
  /** The caller is gone or has read the end. The last one to leave ends the work. Idempotent. */
  leave(): void
}

/** Why a call was not taken at all; `retryAfterMs` is when it may be. */
export interface RefsRefusal {
  readonly refused: 'rate' | 'calls-per-address' | 'calls-total' | 'draining' | 'no-backend'
  readonly retryAfterMs: number
}

/** Takes calls; `wake` is called whenever `accepted`, `read` or `end` may have something new. */
export interface RefsCalls {
  refs(request: RefsRequest, wake: () => void): RefsCall | RefsRefusal
}

export interface RefsRequest {
  readonly query: RefsQuery
  /** The caller's IP address. */
  readonly address: string
  /** The caller's own time limit; undefined: none. */
  readonly timeoutMs: number | undefined
}

/** Tells a backend by its RPC to do a refs. Returns at once; never calls the sink before it has returned. */
export type RefsByRpc = (query: RefsQuery, sink: RefsSink) => RefsWork

/** A refs that a backend is doing. */
export interface RefsWork {
  /** Reads on, after `lines` said to pause. */
  resume(): void
  /** Ends it; the sink hears nothing more. Idempotent. */
  abort(): void
}

export interface RefsSink {
  /**
   * Whole lines without an error in them, each with its newline. Also called with none when the backend has
   * begun to answer. Returns false to pause reading until `resume`.
   */
  lines(lines: readonly Uint8Array[]): boolean
  /** Once, at the end. */
  ended(result: RefsResult): void
}

export type RefsResult =
  /** The backend listed everything, so it has everything. */
  | { readonly kind: 'done' }
  /** The backend itself says that it failed: before its answer, in a line, or in a trailer. */
  | { readonly kind: 'failed'; readonly message: string }
  /** It is not to be had: unreachable, cut off, refusing us, no Kubo. `reason` is for logs. */
  | { readonly kind: 'lost'; readonly reason: string }

/** Tells a backend by its RPC to keep what it has fetched; reports once whether it did, never throws. */
export type KeepByRpc = (root: RefsRoot, done: (failure: string | undefined) => void) => () => void
