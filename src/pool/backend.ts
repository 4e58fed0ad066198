import type { Histogram } from '#src/util/histogram.ts'

/**
 * `connecting`: not reached yet, or being reached again. `ready`: at least one lane is up and answers.
 * `unresponsive`: connected, but wants go unanswered.
 */
export type BackendState = 'connecting' | 'ready' | 'unresponsive'

/** What an operator may see of a backend. */
export interface BackendStatus {
  /** As in KITSUNE_BACKENDS, without credentials. */
  readonly name: string
  readonly state: BackendState
  /** Why it is not ready, in words; absent when it is. */
  readonly reason?: string
  readonly peerId?: string
  readonly agent?: string
  /** Multiaddrs in use. */
  readonly addresses: readonly string[]
  readonly lanes: { readonly up: number; readonly configured: number }
  /** Asks sent and not answered. */
  readonly outstanding: number
  readonly blocks: number
  readonly bytes: number
  /** From ask to answer. */
  readonly latencyMs: Histogram
}
