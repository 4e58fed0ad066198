/**
 * Hands a client's call to a backend and its answer back: line by line, rewritten on the way, with backpressure,
 * bounded in time and size. Only JSON lines and the one binary type of `/routing/v1` pass; a backend's own headers
 * do not, but for a few that say how to read the answer.
 *
 * Memory: one line, and what the reader has not taken of about 64 KiB; an error of 64 KiB.
 */
import {
  type Fault,
  faults,
  isHtml,
  judgeFailure,
  maxErrorBytes,
  opening,
  presentable,
  type RpcTarget,
} from '#src/rpc/answers.ts'
import { type AnswerHead, type Exchange, type ExchangeEnd, openExchange } from '#src/rpc/exchange.ts'
import { LineCutter } from '#src/rpc/lines.ts'
import { publicWords } from '#src/rpc/public-words.ts'
import { describeError } from '#src/util/errors.ts'

export interface ForwardRequest {
  readonly target: RpcTarget
  readonly method: 'GET' | 'POST'
  /** Path and query behind the target's URL, made by us and not by a client. */
  readonly path: string
  /** All that are sent besides the authorization. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** From the start to the last byte. */
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly maxLineBytes: number
  /** What is sent in place of a line, which comes without its newline; undefined gives the answer up. */
  readonly rewrite: (line: string) => string | undefined
  /** What ends an answer that broke off after its first byte. */
  readonly lastWords: (message: string) => string
  /** The client is gone. */
  readonly signal: AbortSignal
  /** Called once, when the backend does nothing for it any more. */
  readonly over: () => void
}

export type ForwardAnswer =
  | { readonly kind: 'answer'; readonly headers: Headers; readonly body: ReadableStream<Uint8Array> }
  /** The backend says no, in words for the client. */
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  /** It is not to be had. `reason` is for logs. */
  | { readonly kind: 'lost'; readonly timedOut: boolean; readonly reason: string }

/** What of a backend's answer a client may see in its head. */
const passedHeaders = [
  'content-type',
  'x-chunked-output',
  'x-stream-output',
  'cache-control',
  'last-modified',
  'expires',
]
const lineTypes = /^application\/(json|x-ndjson)\b/i
const binaryType = /^application\/vnd\.ipfs\.ipns-record\b/i
/** Kubo's own noes, and those of `/routing/v1`; other statuses are of something before it. */
const refusals: readonly number[] = [400, 404, 406, 500, 501]
const readAheadBytes = 64 * 1024

/** Forwards a call. Resolves with the head of the answer, or with why there is none; never rejects. */
export function forward(request: ForwardRequest): Promise<ForwardAnswer> {
  return new Promise((resolve) => new Forwarding(request, resolve))
}

class Forwarding {
  readonly #request: ForwardRequest
  readonly #answer: (answer: ForwardAnswer) => void
  readonly #exchange: Exchange
  readonly #timer: ReturnType<typeof setTimeout>
  readonly #abort = () => {
    this.#stop()
    this.#answer({ kind: 'lost', timedOut: false, reason: faults.aborted })
  }
  readonly #cutter: LineCutter
  readonly #encoder = new TextEncoder()
  readonly #decoder = new TextDecoder()
  #head: AnswerHead | undefined
  #body: ReadableStreamDefaultController<Uint8Array> | undefined
  #refusal: Uint8Array[] = []
  #bytes = 0
  #over = false

  constructor(request: ForwardRequest, answer: (answer: ForwardAnswer) => void) {
    const { target, method, path, headers, body, signal } = request
    this.#request = request
    this.#answer = answer
    this.#cutter = new LineCutter(request.maxLineBytes)
    this.#timer = setTimeout(() => this.#fail('timeout', faults.timeout), request.timeoutMs)
    this.#exchange = openExchange(
      {
        url: `${target.url}${path}`,
        method,
        headers: { ...headers, ...opening(target) },
        ...(body && { body }),
      },
      {
        head: (head) => this.#onHead(head),
        bytes: (piece) => this.#onBytes(piece),
        ended: (end) => this.#onEnded(end),
      },
    )
    signal.addEventListener('abort', this.#abort, { once: true })
    if (signal.aborted) this.#abort()
  }

  #onHead(head: AnswerHead): void {
    this.#head = head
    if (head.status !== 200) return
    const type = head.headers['content-type'] ?? ''
    if (!lineTypes.test(type) && !binaryType.test(type)) {
      // `/routing/v1/ipns` says so when there is no record (IPIP-513), with a status that is none of an error.
      if (!type.startsWith('text/plain')) this.#fail('not-kubo', faults['not-kubo'])
      return
    }
    const headers = new Headers()
    for (const name of passedHeaders) {
      const value = head.headers[name]
      if (typeof value === 'string') headers.set(name, value)
    }
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#body = controller
        },
        pull: () => this.#exchange.resume(),
        cancel: () => this.#stop(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: readAheadBytes }),
    )
    this.#answer({ kind: 'answer', headers, body })
  }

  #onBytes(piece: Uint8Array): boolean {
    if (this.#over) return false
    this.#bytes += piece.length
    if (this.#body === undefined) {
      this.#refusal.push(piece)
      if (this.#bytes > maxErrorBytes) this.#fail('too-big', faults['too-big'])
      return !this.#over
    }
    if (this.#bytes > this.#request.maxBytes) this.#fail('too-big', faults['too-big'])
    else if (binaryType.test(this.#head?.headers['content-type'] ?? '')) this.#body.enqueue(piece)
    else this.#passLines(this.#cutter.take(piece))
    return !this.#over && (this.#body.desiredSize ?? 0) > 0
  }

  #passLines(lines: readonly Uint8Array[] | undefined): void {
    if (lines === undefined) return this.#fail('too-big', faults['too-big'])
    let text = ''
    for (const line of lines) {
      const read = this.#decoder.decode(line).trimEnd()
      const written = read === '' ? '' : this.#request.rewrite(read)
      if (written === undefined) return this.#fail('not-kubo', faults['not-kubo'])
      if (written !== '') text += `${written}\n`
    }
    if (text !== '') this.#body?.enqueue(this.#encoder.encode(text))
  }

  #onEnded(end: ExchangeEnd): void {
    if (this.#over) return
    if (end.kind === 'broken') {
      const fault = end.fault === 'unreachable' ? 'unreachable' : 'failed'
      return this.#fail(fault, `${faults[fault]}: ${describeError(end.cause)}`)
    }
    if (this.#body === undefined) return this.#refuse()
    const rest = this.#cutter.rest()
    if (rest.length > 0) this.#passLines([rest])
    if (this.#over) return
    this.#stop()
    this.#body.close()
  }

  #refuse(): void {
    const { status = 0, headers } = this.#head ?? {}
    const contentType = headers?.['content-type'] ?? ''
    const bytes = Buffer.concat(this.#refusal)
    const judged = judgeFailure({ status, contentType, bytes })
    const said = judged.detail ?? (isHtml(contentType) ? '' : this.#decoder.decode(bytes))
    const isAnswer = status === 200 || (refusals.includes(status) && said !== '')
    if (!isAnswer) return this.#fail(judged.fault, `${faults[judged.fault]} (status ${status})`)
    this.#stop()
    const message = publicWords(presentable(said, this.#request.target))
    this.#answer({ kind: 'refused', status: status === 200 ? 404 : status, message })
  }

  #fail(fault: Fault['fault'], reason: string): void {
    if (this.#over) return
    this.#stop()
    const clean = presentable(reason, this.#request.target)
    if (this.#body === undefined) {
      return this.#answer({ kind: 'lost', timedOut: fault === 'timeout', reason: clean })
    }
    const words = this.#request.lastWords(fault === 'timeout' ? 'the time was over' : 'the answer broke off')
    this.#body.enqueue(this.#encoder.encode(words))
    this.#body.close()
  }

  /** Lets go of everything but the body. */
  #stop(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#request.signal.removeEventListener('abort', this.#abort)
    this.#exchange.abort()
    this.#request.over()
  }
}
