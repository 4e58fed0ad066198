/**
 * The answer to a refs, from what the relay knows of it. Nothing is sent until there is something true to say: a
 * browser takes the first 2xx for its content being safe, and looks for another node otherwise.
 *
 * Memory: what one `read` of the call returns; it is read only as fast as the client reads.
 */
import { kuboError, refsErrorLine } from '#src/http/kubo-answer.ts'
import type {
  RefsCall,
  RefsCalls,
  RefsEnd,
  RefsFailure,
  RefsRefusal,
  RefsRequest,
} from '#src/relay/preload/refs.ts'

const statuses: Readonly<Record<RefsFailure, number>> = {
  backend: 500,
  'no-backend': 503,
  'no-client': 504,
  limit: 413,
  timeout: 504,
  draining: 503,
}

const refusals: Readonly<Record<RefsRefusal['refused'], readonly [status: number, message: string]>> = {
  rate: [429, 'too many calls from your address: wait a little between them'],
  'calls-per-address': [429, 'too many calls from your address at once: wait until some have ended'],
  'calls-total': [429, 'too many calls at once: try again, or another node'],
  draining: [503, 'this node is stopping: try another one'],
  'no-backend': [503, 'no storage is available now: try again, or another node'],
}

/** What is answered to a caller that is gone, for those who count: nobody reads it. */
export const gone = 499

/** When to come back after a failure with 503: a node that restarts, or its storage, needs about as long. */
const retryAfterMs = 10_000
const headers = { 'content-type': 'application/json', 'x-chunked-output': '1' }

/** Makes a refs and returns its answer once there is one: lines, or the end. Resolves early when the caller is gone. */
export async function answerRefs(
  calls: RefsCalls,
  request: RefsRequest,
  signal: AbortSignal,
): Promise<Response> {
  // Nobody would hear that it went away while its request was read.
  if (signal.aborted) return new Response(null, { status: gone })
  const bell = new Bell()
  const call = calls.refs(request, () => bell.ring())
  if ('refused' in call) {
    const [status, message] = refusals[call.refused]
    return kuboError(status, message, { retryAfterMs: call.retryAfterMs })
  }
  const leave = () => {
    call.leave()
    bell.ring()
  }
  signal.addEventListener('abort', leave, { once: true })
  for (;;) {
    if (signal.aborted) return new Response(null, { status: gone })
    const lines = call.accepted ? call.read() : []
    if (lines.length > 0) return listing(call, lines, { bell, signal })
    const { end } = call
    if (end !== undefined) {
      call.leave()
      return end.kind === 'done' ? new Response('', { headers }) : failure(end)
    }
    await bell.rung()
  }
}

function failure({ reason, message }: RefsEnd & { kind: 'failed' }): Response {
  const status = statuses[reason]
  return kuboError(status, message, status === 503 ? { retryAfterMs } : {})
}

interface Waiting {
  readonly bell: Bell
  readonly signal: AbortSignal
}

function listing(call: RefsCall, first: readonly Uint8Array[], { bell, signal }: Waiting): Response {
  let unsent = first
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (!signal.aborted) {
          const lines = unsent.length > 0 ? unsent : call.read()
          unsent = []
          if (lines.length > 0) return controller.enqueue(Buffer.concat(lines))
          const { end } = call
          if (end !== undefined) return finish(controller, end)
          await bell.rung()
        }
      },
      cancel: () => call.leave(),
    },
    { highWaterMark: 0 },
  )
  const finish = (controller: ReadableStreamDefaultController<Uint8Array>, end: RefsEnd) => {
    call.leave()
    if (end.kind === 'failed') controller.enqueue(new TextEncoder().encode(refsErrorLine(end.message)))
    controller.close()
  }
  return new Response(body, { headers })
}

/** Lets one waiter sleep until it is rung; a ring while nobody sleeps is kept. */
class Bell {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  async rung(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#rung = false
    this.#wake = undefined
  }
}
