/**
 * One HTTP exchange with a backend whose answer is taken piece by piece: with backpressure, with its trailers (which
 * `fetch` does not show), and with the certainty whether it came whole. Every exchange has a connection of its own,
 * so that ending it early closes the socket and Kubo cancels the work behind it. No redirect is followed.
 *
 * Invariant: `ended` is called exactly once, unless `abort` came first. Memory: what the runtime reads ahead of a
 * pause (a few hundred KiB) besides what the sink keeps.
 */
import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

export interface ExchangeRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** How long the connection may take to come about. Default 10 s. What follows has no limit of its own. */
  readonly connectTimeoutMs?: number
}

/** The head of an answer. */
export interface AnswerHead {
  readonly status: number
  /** Lower-case names. */
  readonly headers: IncomingHttpHeaders
  /** Its end can be told from a cut: it is chunked, or says how long it is. */
  readonly framed: boolean
}

export type ExchangeEnd =
  | { readonly kind: 'whole'; readonly trailers: Readonly<Record<string, string | undefined>> }
  /** No answer, or not the whole of it. */
  | { readonly kind: 'broken'; readonly fault: 'unreachable' | 'cut-off'; readonly cause: unknown }

export interface ExchangeSink {
  head(head: AnswerHead): void
  /** A piece of the body. Returns false to pause until `resume`. */
  bytes(piece: Uint8Array): boolean
  ended(end: ExchangeEnd): void
}

export interface Exchange {
  resume(): void
  /** Closes the connection; the sink hears nothing more. Idempotent. */
  abort(): void
}

/** A dead machine sends no reset: the kernel asks after this much silence, and gives up some minutes later. */
const keepAliveAfterMs = 30_000

/** Begins an exchange and returns at once; the sink is never called before that. Never throws. */
export function openExchange(request: ExchangeRequest, sink: ExchangeSink): Exchange {
  let answer: IncomingMessage | undefined
  let over = false
  const finish = (end: ExchangeEnd) => {
    if (over) return
    over = true
    sink.ended(end)
  }
  const broken = (cause: unknown) =>
    finish({ kind: 'broken', fault: answer === undefined ? 'unreachable' : 'cut-off', cause })

  const outgoing = begin(request, broken)
  outgoing?.on('error', broken)
  outgoing?.on('response', (response) => {
    if (over) return
    answer = response
    response.on('data', (piece: Uint8Array) => {
      if (!over && !sink.bytes(piece)) response.pause()
    })
    response.on('end', () => {
      if (response.complete) finish({ kind: 'whole', trailers: response.trailers })
    })
    response.on('error', broken)
    response.on('close', () => broken(new Error('the answer was cut off')))
    sink.head(headOf(response))
  })
  outgoing?.end(request.body)

  return {
    resume: () => {
      answer?.resume()
    },
    abort: () => {
      over = true
      outgoing?.destroy()
    },
  }
}

function begin(request: ExchangeRequest, broken: (cause: unknown) => void) {
  const { url, method, headers, connectTimeoutMs = 10_000 } = request
  try {
    const secure = url.startsWith('https:')
    const outgoing = (secure ? requestHttps : requestHttp)(url, { method, headers, agent: false })
    const timer = setTimeout(
      () => outgoing.destroy(new Error('the connection did not come about in time')),
      connectTimeoutMs,
    )
    outgoing.on('socket', (socket) => {
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer)
        socket.setKeepAlive(true, keepAliveAfterMs)
      })
    })
    outgoing.on('close', () => clearTimeout(timer))
    return outgoing
  } catch (error) {
    queueMicrotask(() => broken(error))
    return undefined
  }
}

function headOf(response: IncomingMessage): AnswerHead {
  const { statusCode = 0, headers } = response
  const chunked = headers['transfer-encoding']?.toLowerCase().includes('chunked') === true
  return { status: statusCode, headers, framed: chunked || headers['content-length'] !== undefined }
}
