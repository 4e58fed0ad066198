/**
 * A backend's Kubo RPC (https://docs.ipfs.tech/reference/kubo/rpc/), or whatever answers in its place: every
 * answer is bounded in time and size, and none is believed. Blocks are handed over unverified: who asks must
 * hash them. The authorization goes into the request and nowhere else.
 */
import { type BoundedAnswer, boundedPost, type Fetch } from '#src/rpc/bounded-fetch.ts'
import { KitsuneError } from '#src/util/errors.ts'

export interface KuboRpcOptions {
  /** Origin and base path; credentials in it are dropped, they belong in `authorization`. */
  readonly url: string
  /** Value of the `Authorization` header. A secret. */
  readonly authorization?: string
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

/** Why an RPC came to nothing; also the `code` of `id`'s errors, after `rpc-`. */
export type RpcFault = keyof typeof faults

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

const faults = {
  unreachable: 'the RPC cannot be reached',
  timeout: 'the RPC did not answer in time',
  aborted: 'the RPC was given up',
  'too-big': 'the RPC answered more than it should',
  unauthorized: 'the RPC refuses us: check its API.Authorizations and the credentials given',
  redirect: 'the RPC redirects, which is not followed: give the address it points to',
  'not-kubo': 'what answers is not a Kubo RPC: check host, port and path',
  failed: 'the RPC answered with an error',
} as const

type Outcome =
  | { readonly kind: 'ok'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'fault'
      readonly fault: RpcFault
      readonly status?: number
      readonly detail?: string
      readonly cause?: unknown
    }

const maxIdBytes = 1024 * 1024
/** An error is a line of JSON; the room it needs when the block asked for is smaller. */
const maxErrorBytes = 64 * 1024
/** The backend's own timeout must strike first: only then do we learn that it looked in vain. */
const replyGraceMs = 2_000
const maxDetailCharacters = 300

export class KuboRpc {
  /** Without credentials: may be logged. */
  readonly url: string
  readonly #authorization: string | undefined
  readonly #fetch: Fetch
  readonly #idTimeoutMs: number

  constructor(options: KuboRpcOptions) {
    this.url = bareUrl(options.url)
    this.#authorization = options.authorization
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init))
    this.#idTimeoutMs = options.idTimeoutMs ?? 5_000
  }

  /** Returns the backend's identity. Throws a `KitsuneError` `rpc-…` of side `backend`; see `RpcFault`. */
  async id(signal?: AbortSignal): Promise<KuboIdentity> {
    const outcome = await this.#call('id', {}, { timeoutMs: this.#idTimeoutMs, maxBytes: maxIdBytes, signal })
    if (outcome.kind === 'fault') throw this.#error(outcome)
    const identity = parseIdentity(outcome.bytes)
    if (identity === undefined) throw this.#error({ kind: 'fault', fault: 'not-kubo' })
    return identity
  }

  /** Tells the backend to find a block, in its swarm if need be, and returns what came of it; never throws. */
  async blockGet(cid: string, options: BlockGetOptions): Promise<BlockAnswer> {
    const outcome = await this.#call(
      'block/get',
      { arg: cid, timeout: `${Math.max(1, Math.round(options.timeoutMs))}ms` },
      {
        timeoutMs: options.timeoutMs + replyGraceMs,
        maxBytes: options.maxBytes,
        signal: options.signal,
      },
    )
    if (outcome.kind === 'ok') return { kind: 'found', bytes: outcome.bytes }
    const { fault, detail } = outcome
    if (fault === 'failed' && detail !== undefined && meansNotFound(detail)) return { kind: 'not-found' }
    return detail === undefined ? { kind: 'error', reason: fault } : { kind: 'error', reason: fault, detail }
  }

  async #call(
    command: string,
    query: Readonly<Record<string, string>>,
    limits: { timeoutMs: number; maxBytes: number; signal: AbortSignal | undefined },
  ): Promise<Outcome> {
    const search = new URLSearchParams(query).toString()
    const answer = await boundedPost(this.#fetch, {
      url: `${this.url}/api/v0/${command}${search === '' ? '' : `?${search}`}`,
      headers: this.#authorization === undefined ? {} : { authorization: this.#authorization },
      timeoutMs: limits.timeoutMs,
      maxBytes: Math.max(limits.maxBytes, maxErrorBytes),
      ...(limits.signal === undefined ? {} : { signal: limits.signal }),
    })
    const outcome = judge(answer)
    if (outcome.kind === 'ok') {
      return outcome.bytes.length <= limits.maxBytes ? outcome : { kind: 'fault', fault: 'too-big' }
    }
    return outcome.detail === undefined ? outcome : { ...outcome, detail: this.#presentable(outcome.detail) }
  }

  /** A server may echo what we sent: the secret must not come back into a log that way. */
  #presentable(detail: string): string {
    const secret = this.#authorization?.split(' ').at(-1) ?? ''
    const clean = secret === '' ? detail : detail.replaceAll(secret, '[redacted]')
    return clean.slice(0, maxDetailCharacters)
  }

  #error(outcome: Outcome & { kind: 'fault' }): KitsuneError {
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

function bareUrl(given: string): string {
  const url = new URL(given)
  return url.origin + url.pathname.replace(/\/+$/, '')
}

/** Tells Kubo's answers from those of proxies, web servers and others that may sit on the port. */
function judge(answer: BoundedAnswer): Outcome {
  if (answer.kind === 'unreachable') return { kind: 'fault', fault: 'unreachable', cause: answer.cause }
  if (answer.kind !== 'answer') return { kind: 'fault', fault: answer.kind }
  const { status, contentType, bytes } = answer
  if (status >= 300 && status < 400) return { kind: 'fault', fault: 'redirect', status }
  if (status === 401 || status === 403) return { kind: 'fault', fault: 'unauthorized', status }
  const html = contentType.toLowerCase().startsWith('text/html')
  if (status === 200 && !html) return { kind: 'ok', bytes }
  const detail = html ? undefined : errorMessage(bytes)
  // Kubo's own errors are JSON of status 500, or 400 for a bad argument. Other pages of 5xx come from a proxy before
  // it that cannot reach it just now; everything else is not the RPC.
  const fault = detail === undefined && status < 500 ? 'not-kubo' : 'failed'
  return { kind: 'fault', fault, status, ...(detail === undefined ? {} : { detail }) }
}

/** Kubo's error: `{"Message":"…","Code":0,"Type":"error"}`. */
function errorMessage(bytes: Uint8Array): string | undefined {
  const value = parseObject(bytes)
  return value !== undefined && typeof value.Message === 'string' ? value.Message : undefined
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

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
