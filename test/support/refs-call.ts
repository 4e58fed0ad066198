/**
 * A caller of `/api/v0/refs` that sees everything: the head when it comes, each line, and how the answer ended. It
 * calls from an address of its own.
 */
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'

/** How to call. */
export interface RefsCallOptions {
  /** `http://127.0.0.1:PORT`. */
  readonly web: string
  /** The CID or path; or the whole query where it is not an honest one. */
  readonly arg?: string
  readonly query?: string
  readonly method?: string
  /** 127.0.0.x. */
  readonly from?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What came of a call. `cut`: the answer broke off. */
export interface RefsAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The refs listed, in order. */
  readonly refs: readonly string[]
  /** What the last line, the trailer or the error body says went wrong. */
  readonly error: string | undefined
  readonly ending: 'whole' | 'cut'
  readonly ms: number
}

/** A call under way. */
export interface RefsCall {
  /** The answer so far. */
  readonly body: string
  /** Resolves with the status once the head is here. */
  readonly status: Promise<number>
  /** Resolves once it is over; rejects after a minute. */
  readonly answer: Promise<RefsAnswer>
  /** Resolves once so many lines are here. */
  lines(count: number, timeoutMs?: number): Promise<void>
  /** Goes away. */
  abort(): void
}

const answerMs = 60_000

/** Begins a call. */
export function callRefs(options: RefsCallOptions): RefsCall {
  const startedMs = performance.now()
  const query = options.query ?? `r=true&arg=${encodeURIComponent(options.arg ?? '')}`
  const head = Promise.withResolvers<number>()
  const whole = Promise.withResolvers<RefsAnswer>()
  // A test may look at one of the two only.
  for (const { promise } of [head, whole]) promise.catch(() => {})
  const watchers = new Set<() => void>()
  let body = ''
  const tell = (): void => {
    for (const watcher of [...watchers]) watcher()
  }
  const timer = setTimeout(() => fail(new Error(`no answer in ${answerMs} ms; so far: ${body}`)), answerMs)
  const fail = (error: Error): void => {
    clearTimeout(timer)
    call.destroy()
    head.reject(error)
    whole.reject(error)
  }
  const finish = (response: IncomingMessage, ending: RefsAnswer['ending']): void => {
    clearTimeout(timer)
    whole.resolve(answerOf(response, body, ending, Math.round(performance.now() - startedMs)))
    tell()
  }
  const call: ClientRequest = request(
    `${options.web}/api/v0/refs?${query}`,
    {
      method: options.method ?? 'POST',
      agent: false,
      ...(options.from !== undefined && { localAddress: options.from }),
      headers: { connection: 'close', ...options.headers },
    },
    (response) => {
      head.resolve(response.statusCode ?? 0)
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
        tell()
      })
      response.on('end', () => finish(response, response.complete ? 'whole' : 'cut'))
      response.on('error', () => finish(response, 'cut'))
      response.on('aborted', () => finish(response, 'cut'))
    },
  )
  call.on('error', fail)
  call.end()
  return {
    get body() {
      return body
    },
    status: head.promise,
    answer: whole.promise,
    abort: () => {
      clearTimeout(timer)
      call.destroy()
    },
    lines: (count, timeoutMs = 10_000) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(deadline)
          watchers.delete(look)
        }
        const look = (): void => {
          if (body.split('\n').length <= count) return
          stop()
          resolve()
        }
        const deadline = setTimeout(() => {
          stop()
          reject(new Error(`no ${count} lines in ${timeoutMs} ms; so far: ${body.slice(0, 500)}`))
        }, timeoutMs)
        watchers.add(look)
        look()
      }),
  }
}

/** Calls and waits for the end. */
export function refs(options: RefsCallOptions): Promise<RefsAnswer> {
  return callRefs(options).answer
}

function answerOf(
  response: IncomingMessage,
  body: string,
  ending: RefsAnswer['ending'],
  ms: number,
): RefsAnswer {
  const { statusCode: status = 0, headers, trailers } = response
  const lines = body.split('\n').filter((line) => line !== '')
  const refsListed: string[] = []
  let error = trailers['x-stream-error']
  for (const line of lines) {
    const said = parse(line)
    if (typeof said.Message === 'string') error = said.Message
    if (typeof said.Err === 'string' && said.Err !== '') error = said.Err
    if (typeof said.Ref === 'string' && said.Ref !== '') refsListed.push(said.Ref)
  }
  return { status, headers, body, refs: refsListed, error, ending, ms }
}

function parse(line: string): { Ref?: unknown; Err?: unknown; Message?: unknown } {
  try {
    return JSON.parse(line)
  } catch {
    return {}
  }
}
