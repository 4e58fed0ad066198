/**
 * A refs at a backend by its RPC (https://docs.ipfs.tech/reference/kubo/rpc/#api-v0-refs). Kubo answers 200 with the
 * first line and can fail at every later one, so nothing counts as done but an answer that came whole and has no
 * error in it: no `Err` line, no `X-Stream-Error`, a last chunk.
 *
 * Tells apart who is at fault: `failed` is about the content that was asked for, `lost` about the backend. A refs may
 * take an hour, so nothing but the connecting is timed here. Memory: one line of at most 64 KiB, and what the
 * runtime reads ahead of a pause.
 */
import type { RefsByRpc, RefsQuery, RefsResult, RefsSink, RefsWork } from '#src/relay/preload/refs.ts'
import {
  faults,
  isHtml,
  judgeFailure,
  maxErrorBytes,
  opening,
  parseObject,
  presentable,
  type RpcTarget,
} from '#src/rpc/answers.ts'
import { type CallQuery, commandUrl } from '#src/rpc/call.ts'
import { type AnswerHead, type Exchange, type ExchangeEnd, openExchange } from '#src/rpc/exchange.ts'
import { LineCutter } from '#src/rpc/lines.ts'
import { publicWords } from '#src/rpc/public-words.ts'
import { describeError } from '#src/util/errors.ts'

export interface RefsByRpcOptions {
  /** How long the connection may take to come about. Default 10 s. */
  readonly connectTimeoutMs?: number
}

/** A line is a CID in some words of the caller's: more is made up, by whoever made the content. */
const maxLineBytes = 64 * 1024

/** Returns how a backend is told to do a refs. */
export function refsByRpc(target: RpcTarget, options: RefsByRpcOptions = {}): RefsByRpc {
  return (query, sink) => new RefsAtBackend(target, query, sink, options)
}

class RefsAtBackend implements RefsWork {
  readonly #target: RpcTarget
  readonly #sink: RefsSink
  readonly #exchange: Exchange
  readonly #cutter = new LineCutter(maxLineBytes)
  #head: AnswerHead | undefined
  /** The body of an answer that is no success. */
  readonly #refusal: Uint8Array[] = []
  #refusalBytes = 0
  #over = false

  constructor(target: RpcTarget, query: RefsQuery, sink: RefsSink, options: RefsByRpcOptions) {
    this.#target = target
    this.#sink = sink
    this.#exchange = openExchange(
      {
        url: commandUrl(target, 'refs', asKubo(query)),
        method: 'POST',
        headers: opening(target),
        ...options,
      },
      {
        head: (head) => this.#onHead(head),
        bytes: (piece) => this.#onBytes(piece),
        ended: (end) => this.#onEnded(end),
      },
    )
  }

  resume(): void {
    if (!this.#over) this.#exchange.resume()
  }

  abort(): void {
    this.#over = true
    this.#exchange.abort()
  }

  #onHead(head: AnswerHead): void {
    this.#head = head
    if (!isListing(head)) return
    // A proxy that ends its answers by closing would make half a listing look like a whole one.
    if (!head.framed) this.#end({ kind: 'lost', reason: 'the end of its answer cannot be told from a cut' })
    // With none the relay has nothing to hold back: it needs no pause.
    else this.#sink.lines([])
  }

  #onBytes(piece: Uint8Array): boolean {
    if (this.#over) return false
    if (this.#head === undefined || !isListing(this.#head)) return this.#keepRefusal(piece)
    const lines = this.#cutter.take(piece)
    if (lines === undefined) {
      this.#end({ kind: 'failed', message: 'a line of the listing is longer than 64 KiB' })
      return false
    }
    const good: Uint8Array[] = []
    let end: RefsResult | undefined
    for (const line of lines) {
      end = isPlainRef(line) ? undefined : this.#judgeLine(line)
      if (end !== undefined) break
      good.push(line)
    }
    const goesOn = good.length === 0 || this.#sink.lines(good)
    if (end !== undefined) this.#end(end)
    return goesOn && !this.#over
  }

  /** Returns how it ends with a line that is not in Kubo's usual writing; undefined: it is a reference all the same. */
  #judgeLine(line: Uint8Array): RefsResult | undefined {
    const value = parseObject(line)
    const error = value?.Err || (value?.Type === 'error' && value.Message)
    if (typeof error === 'string' && error !== '') return this.#failure(error)
    return typeof value?.Ref === 'string' ? undefined : { kind: 'lost', reason: faults['not-kubo'] }
  }

  #keepRefusal(piece: Uint8Array): boolean {
    this.#refusal.push(piece)
    this.#refusalBytes += piece.length
    if (this.#refusalBytes <= maxErrorBytes) return true
    this.#end({ kind: 'lost', reason: faults['too-big'] })
    return false
  }

  #onEnded(end: ExchangeEnd): void {
    if (this.#over) return
    const head = this.#head
    if (end.kind === 'broken') {
      const what = end.fault === 'unreachable' ? faults.unreachable : 'its answer was cut off'
      return this.#end({ kind: 'lost', reason: this.#forLogs(`${what}: ${describeError(end.cause)}`) })
    }
    if (head === undefined || !isListing(head)) return this.#end(this.#judgeRefusal(head?.status ?? 0))
    const error = end.trailers['x-stream-error']
    if (error !== undefined && error !== '') return this.#end(this.#failure(error))
    if (this.#cutter.held > 0) return this.#end({ kind: 'lost', reason: 'its answer ends within a line' })
    this.#end({ kind: 'done' })
  }

  #judgeRefusal(status: number): RefsResult {
    const contentType = this.#head?.headers['content-type'] ?? ''
    const bytes = Buffer.concat(this.#refusal)
    const { fault, detail } = judgeFailure({ status, contentType, bytes })
    // Kubo's own errors have these two; the same JSON with another status comes from something before it.
    if (detail !== undefined && (status === 500 || status === 400)) return this.#failure(detail)
    const said = detail === undefined ? '' : `: ${detail}`
    return { kind: 'lost', reason: this.#forLogs(`${faults[fault]} (status ${status})${said}`) }
  }

  #failure(message: string): RefsResult {
    if (isTroubleOfItsOwn(message)) return { kind: 'lost', reason: this.#forLogs(message) }
    return { kind: 'failed', message: publicWords(presentable(message, this.#target)) }
  }

  #forLogs(reason: string): string {
    return presentable(reason, this.#target)
  }

  #end(result: RefsResult): void {
    if (this.#over) return
    this.#over = true
    this.#exchange.abort()
    this.#sink.ended(result)
  }
}

function asKubo(query: RefsQuery): CallQuery {
  return [
    ['arg', query.arg],
    ['recursive', String(query.recursive)],
    ['unique', String(query.unique)],
    ...(query.edges ? [['edges', 'true'] as const] : []),
    ...(query.maxDepth >= 0 ? [['max-depth', String(query.maxDepth)] as const] : []),
    ...(query.format === '' ? [] : [['format', query.format] as const]),
  ]
}

function isListing({ status, headers }: AnswerHead): boolean {
  return status === 200 && !isHtml(headers['content-type'] ?? '')
}

const refHead = Buffer.from('{"Ref":"')
const refTail = Buffer.from('","Err":""}\n')

/**
 * Says whether a line is a reference in Kubo's usual writing, without parsing it: a listing has millions. What a
 * caller or the content puts into `Ref` cannot forge the tail, since JSON writes quotation marks with a backslash.
 */
function isPlainRef(line: Uint8Array): boolean {
  const tailAt = line.length - refTail.length
  if (tailAt < refHead.length) return false
  for (let at = 0; at < refHead.length; at++) if (line[at] !== refHead[at]) return false
  for (let at = 0; at < refTail.length; at++) if (line[tailAt + at] !== refTail[at]) return false
  return line[tailAt - 1] !== backslash
}

const backslash = 0x5c

/**
 * Says whether a failure is that of the backend, which another one may not have: it stops, or its disk does not do.
 * Only how the message ends counts: what stands within may be a name that somebody gave to a link.
 */
function isTroubleOfItsOwn(message: string): boolean {
  return /(?:context canceled|no space left on device|read-only file system|input\/output error|datastore closed|blockservice is closed)$/i.test(
    message.trim(),
  )
}
