/**
 * What an answer on the port of an RPC means: Kubo's, or that of a proxy, a web server or whatever else may sit
 * there. Shared by everything that speaks to a backend by HTTP. Pure; holds no state.
 */
import type { BoundedAnswer } from '#src/rpc/bounded-fetch.ts'

/** Where a backend's RPC is, and what opens it. */
export interface RpcTarget {
  /** Origin and base path; credentials in it are dropped, they belong in `authorization`. */
  readonly url: string
  /** Value of the `Authorization` header. A secret. */
  readonly authorization?: string
}

/** Why an RPC came to nothing, in words for an operator. */
export const faults = {
  unreachable: 'the RPC cannot be reached',
  timeout: 'the RPC did not answer in time',
  aborted: 'the RPC was given up',
  'too-big': 'the RPC answered more than it should',
  unauthorized: 'the RPC refuses us: check its API.Authorizations and the credentials given',
  redirect: 'the RPC redirects, which is not followed: give the address it points to',
  'not-kubo': 'what answers is not a Kubo RPC: check host, port and path',
  failed: 'the RPC answered with an error',
} as const

export type RpcFault = keyof typeof faults

export interface Fault {
  readonly kind: 'fault'
  readonly fault: RpcFault
  readonly status?: number
  /** What Kubo said, as it said it. Absent: it was not Kubo that said so. */
  readonly detail?: string
  readonly cause?: unknown
}

export type Outcome = { readonly kind: 'ok'; readonly bytes: Uint8Array } | Fault

/** An error is a line of JSON; the room it needs when what was asked for is smaller. */
export const maxErrorBytes = 64 * 1024
const maxDetailCharacters = 300

/** Returns the URL without credentials and without a slash at its end: may be logged. */
export function bareUrl(given: string): string {
  const url = new URL(given)
  return url.origin + url.pathname.replace(/\/+$/, '')
}

/** Returns the headers that open the RPC. */
export function opening({ authorization }: RpcTarget): Readonly<Record<string, string>> {
  return authorization === undefined ? {} : { authorization }
}

/** Tells Kubo's answers from those of others, and its successes from its errors. */
export function judge(answer: BoundedAnswer): Outcome {
  if (answer.kind === 'unreachable') return { kind: 'fault', fault: 'unreachable', cause: answer.cause }
  if (answer.kind !== 'answer') return { kind: 'fault', fault: answer.kind }
  const { status, contentType, bytes } = answer
  if (status === 200 && !isHtml(contentType)) return { kind: 'ok', bytes }
  return judgeFailure(answer)
}

/** Says why an answer that is not a success is none. */
export function judgeFailure(answer: {
  readonly status: number
  readonly contentType: string
  readonly bytes: Uint8Array
}): Fault {
  const { status, contentType, bytes } = answer
  if (status >= 300 && status < 400) return { kind: 'fault', fault: 'redirect', status }
  if (status === 401 || status === 403) return { kind: 'fault', fault: 'unauthorized', status }
  const detail = isHtml(contentType) ? undefined : errorMessage(bytes)
  // Kubo's own errors are JSON of status 500, or 400 for a bad argument. Other pages of 5xx come from a proxy before
  // it that cannot reach it just now; everything else is not the RPC.
  const fault = detail === undefined && status < 500 ? 'not-kubo' : 'failed'
  return { kind: 'fault', fault, status, ...(detail === undefined ? {} : { detail }) }
}

/** Says whether an answer is a page for people, which Kubo's RPC never sends. */
export function isHtml(contentType: string): boolean {
  return contentType.toLowerCase().startsWith('text/html')
}

/** A server may echo what we sent: the secret must not come back into a log that way. */
export function presentable(detail: string, { authorization }: Pick<RpcTarget, 'authorization'>): string {
  const secret = authorization?.split(' ').at(-1) ?? ''
  const clean = secret === '' ? detail : detail.replaceAll(secret, '[redacted]')
  return clean.slice(0, maxDetailCharacters)
}

/** Returns the object that the bytes are in JSON, or undefined when they are none. */
export function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Kubo's error: `{"Message":"…","Code":0,"Type":"error"}`. */
function errorMessage(bytes: Uint8Array): string | undefined {
  const message = parseObject(bytes)?.Message
  return typeof message === 'string' ? message : undefined
}
