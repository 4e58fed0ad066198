/**
 * How Kubo's RPC answers, so that clients made for it understand us: its error JSON, its error line, and headers that
 * let pages of any origin read both. Nothing of a backend is ever in them.
 */
import type { MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'

/** Kubo's codes: 0 it failed, 1 the request is wrong, 3 there are too many of them. */
export type KuboCode = 0 | 1 | 3

export interface KuboErrorOptions {
  /** Default: what the status means. */
  readonly code?: KuboCode
  /** When to come back; told in whole seconds, 1 at least. */
  readonly retryAfterMs?: number
  /** Methods that are served instead. */
  readonly allow?: string
}

/** Returns an error in the form of Kubo. `message` goes to the caller as it is. */
export function kuboError(status: number, message: string, options: KuboErrorOptions = {}): Response {
  const { code = codeOf(status), retryAfterMs, allow } = options
  const headers = new Headers({ 'content-type': 'application/json' })
  if (retryAfterMs !== undefined) headers.set('retry-after', wholeSeconds(retryAfterMs))
  if (allow !== undefined) headers.set('allow', allow)
  return new Response(kuboErrorLine(message, code), { status, headers })
}

/** Returns the same as a line, which is also how an answer that has begun may end. */
export function kuboErrorLine(message: string, code: KuboCode = 0): string {
  return `${JSON.stringify({ Message: message, Code: code, Type: 'error' })}\n`
}

/** Returns the line by which a refs fails once it has begun. */
export function refsErrorLine(message: string): string {
  return `${JSON.stringify({ Ref: '', Err: message })}\n`
}

/** Methods of the API. Kubo takes POST only; js-ipfs before 0.47 sends GET. */
export const apiMethods = 'GET, POST, OPTIONS'

const preflightSeconds = 86_400
const share = cors({
  origin: '*',
  allowMethods: ['GET', 'POST', 'OPTIONS'],
  exposeHeaders: ['X-Stream-Output', 'X-Chunked-Output', 'X-Content-Length', 'X-Stream-Error', 'Retry-After'],
  maxAge: preflightSeconds,
})

/**
 * Lets pages of any origin call: nothing here depends on cookies or on who is logged in. A browser asks once more
 * (https://wicg.github.io/private-network-access/) when the page is public and this address is not.
 */
export const crossOrigin: MiddlewareHandler = async (context, next) => {
  if (context.req.method === 'OPTIONS' && context.req.header('access-control-request-private-network')) {
    context.header('access-control-allow-private-network', 'true')
  }
  return share(context, next)
}

function codeOf(status: number): KuboCode {
  if (status === 429) return 3
  return status >= 400 && status < 500 && status !== 413 ? 1 : 0
}

function wholeSeconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1000)))
}
