/**
 * A backend's Kubo RPC (https://docs.ipfs.tech/reference/kubo/rpc/), or whatever answers in its place: every
 * answer is bounded in time and size, and none is believed. Blocks are handed over unverified: who asks must
 * hash them. The authorization goes into the request and nowhere else.
 */
import { bareUrl, type Fault, faults, parseObject, type RpcFault, type RpcTarget } from '#src/rpc/answers.ts'
import type { Fetch } from '#src/rpc/bounded-fetch.ts'
import { callRpc } from '#src/rpc/call.ts'
import { KitsuneError } from '#src/util/errors.ts'

export interface KuboRpcOptions extends RpcTarget {
  /** For tests. Default: the runtime's. */
  readonly fetch?: Fetch
  /** How long `id` may take. Default 5 s: it reads memory only. */
  readonly idTimeoutMs?: number
}

/** Who a backend says it is. */
export interface KuboIdentity {
  readonly id: string
  /** Swarm multiaddrs as the backend sees itself; see `usableAddresses`. */
  readonly addresses: readonly string[]
  readonly agentVersion: string
  readonly protocols: readonly string[]
}

export type BlockAnswer =
  /** The backend has it now. Not verified. */
  | { readonly kind: 'found'; readonly bytes: Uint8Array }
  /** The backend looked for it for the time given. */
  | { readonly kind: 'not-found' }
  /** `detail` is what the backend said, and may name the CID. */
  | { readonly kind: 'error'; readonly reason: RpcFault; readonly detail?: string }

export interface BlockGetOptions {
  /** How long the backend may look for it. */
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly signal?: AbortSignal
}

const maxIdBytes = 1024 * 1024
/** The backend's own timeout must strike first: only then do we learn that it looked in vain. */
const replyGraceMs = 2_000

export class KuboRpc {
  /** Without credentials: may be logged. */
  readonly url: string
  readonly #target: RpcTarget
  readonly #fetch: Fetch
  readonly #idTimeoutMs: number

  constructor(options: KuboRpcOptions) {
    this.url = bareUrl(options.url)
    this.#target = options
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init))
    this.#idTimeoutMs = options.idTimeoutMs ?? 5_000
  }

  /** Returns the backend's identity. Throws a `KitsuneError` `rpc-…` of side `backend`; see `RpcFault`. */
  async id(signal?: AbortSignal): Promise<KuboIdentity> {
    const limits = { timeoutMs: this.#idTimeoutMs, maxBytes: maxIdBytes, signal }
    const outcome = await callRpc(this.#fetch, this.#target, 'id', [], limits)
    if (outcome.kind === 'fault') throw this.#error(outcome)
    const identity = parseIdentity(outcome.bytes)
    if (identity === undefined) throw this.#error({ kind: 'fault', fault: 'not-kubo' })
    return identity
  }

  /** Tells the backend to find a block, in its swarm if need be, and returns what came of it; never throws. */
  async blockGet(cid: string, options: BlockGetOptions): Promise<BlockAnswer> {
    const { timeoutMs, maxBytes, signal } = options
    const outcome = await callRpc(
      this.#fetch,
      this.#target,
      'block/get',
      [
        ['arg', cid],
        ['timeout', `${Math.max(1, Math.round(timeoutMs))}ms`],
      ],
      { timeoutMs: timeoutMs + replyGraceMs, maxBytes, signal },
    )
    if (outcome.kind === 'ok') return { kind: 'found', bytes: outcome.bytes }
    const { fault, detail } = outcome
    if (fault === 'failed' && detail !== undefined && meansNotFound(detail)) return { kind: 'not-found' }
    return detail === undefined ? { kind: 'error', reason: fault } : { kind: 'error', reason: fault, detail }
  }

  #error(outcome: Fault): KitsuneError {
    const { fault, status, detail, cause } = outcome
    return new KitsuneError(`rpc-${fault}`, faults[fault], {
      side: 'backend',
      facts: {
        url: this.url,
        ...(status === undefined ? {} : { status }),
        ...(detail === undefined ? {} : { detail }),
      },
      cause,
    })
  }
}

/** Kubo has no code for it: an offline miss, a fetch that ran out of time, a provider search that ended. */
function meansNotFound(message: string): boolean {
  return /not found|could not find|context deadline exceeded/i.test(message)
}

function parseIdentity(bytes: Uint8Array): KuboIdentity | undefined {
  const value = parseObject(bytes)
  if (value === undefined || typeof value.ID !== 'string' || value.ID === '') return undefined
  return {
    id: value.ID,
    addresses: strings(value.Addresses),
    agentVersion: typeof value.AgentVersion === 'string' ? value.AgentVersion : '',
    protocols: strings(value.Protocols),
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
