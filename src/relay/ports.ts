import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import type { BackendState } from '#src/pool/backend.ts'
import type { Body } from '#src/util/pieces.ts'

/**
 * What the core needs from outside, and nothing more: the shell gives the real things, a simulation gives
 * simulated ones.
 */

export interface Clock {
  /** Milliseconds that never go back. */
  now(): number
}

/** Says whether blocks named by that hash function can be verified. */
export type KnowsHash = (hashCode: number) => boolean

/** The sending half of a peer. The core never pushes: it says that there is something, and is asked for it. */
export interface Link {
  /**
   * There may be something to take. Called often; cheap; never calls back from inside. `much`: waiting for more to join it
   * saves nothing.
   */
  wake(much?: boolean): void
}

/** How a fetch that a backend was told to do ended. */
export type FetchResult =
  | { readonly kind: 'found'; readonly bytes: Uint8Array }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'error'; readonly reason: string }

/**
 * Tells a backend by its RPC to fetch a block from wherever it can, and reports once, never before it has
 * returned. Never throws; returns a function that abandons it, after which `done` is not called.
 */
export type FetchByRpc = (cid: CidKey, timeoutMs: number, done: (result: FetchResult) => void) => () => void

/** What became of a request at a backend's gateway. */
export type GatewayResult =
  /** Not verified. */
  | { readonly kind: 'found'; readonly bytes: Uint8Array }
  /** The backend does not have it, or does not hand it out. */
  | { readonly kind: 'absent' }
  /** `reason` is for an operator; it names no content. */
  | { readonly kind: 'failed'; readonly fault: 'unreachable' | 'refused'; readonly reason: string }

/**
 * Asks a backend's gateway for a block if it has that, and reports once, never before it has returned. Never throws;
 * returns a function that ends the request, after which `done` is not called. Whoever asks bounds its time.
 */
export type ReadByGateway = (key: MultihashKey, done: (result: GatewayResult) => void) => () => void

/** Returns the multihashes of the blocks that a block links to, at most `limit`; none for unknown codecs. */
export type LinksOf = (codec: number, bytes: Body, limit: number) => readonly string[]

/** Who wants to know what happens; for logs, not for decisions. */
export interface Observer {
  backendState(name: string, state: BackendState, reason: string | undefined): void
  /** A backend's gateway failed and is left alone for now, or works again; its blocks come by Bitswap meanwhile. */
  gatewayState(backend: string, state: 'given-up' | 'back', reason: string | undefined): void
  /**
   * A backend could not do what a refs needs: `lost`, another one was tried; `no-copy`, there is one copy less.
   */
  preloadTrouble(backend: string, what: 'lost' | 'no-copy', reason: string): void
}
