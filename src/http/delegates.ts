/**
 * What clients let this node look up for them: RPC commands that the operator allowed, and `/routing/v1`. Each call
 * goes to one ready backend, with arguments that were read and written anew, and comes back with this edge in place
 * of the backends.
 *
 * Memory: `maxCalls` calls, each with a body of at most `maxBodyBytes` and a line of its answer.
 */
import type { RpcCommand } from '#src/config/rpc-allow.ts'
import { type Disguise, disguised } from '#src/http/disguise.ts'
import { kuboError, kuboErrorLine } from '#src/http/kubo-answer.ts'
import { readBody } from '#src/http/request-body.ts'
import { parseLookup } from '#src/http/routing-v1.ts'
import { type BackendCall, type ForwardedCommand, parseCall } from '#src/http/rpc-commands.ts'
import { Turnstile } from '#src/http/turnstile.ts'
import type { RpcTarget } from '#src/rpc/answers.ts'
import { type ForwardAnswer, type ForwardRequest, forward } from '#src/rpc/forward.ts'

export interface DelegatesDeps {
  readonly allowed: readonly RpcCommand[]
  /** Returns the RPC of a ready backend, for equal keys that of the same one where possible; undefined: none. */
  choose(key: string): RpcTarget | undefined
  /** The same for gateways; absent when no backend has one. */
  readonly chooseGateway?: ((key: string) => RpcTarget | undefined) | undefined
  /**
   * Has a block fetched from the caller itself, as a refs would; resolves when that is over, whatever came of it.
   * Absent where there is no preload.
   */
  readonly fetchFromCaller?: (key: string, address: string, signal: AbortSignal) => Promise<void>
  readonly disguise: Disguise
  /** Returns what counts as one address. */
  readonly groupOf: (address: string) => string
  /** Told why a call was lost, for logs. */
  readonly onLost?: (reason: string) => void
}

export interface DelegatesOptions {
  /** Calls under way at once. Default 64: each costs a backend a walk through the network. */
  readonly maxCalls?: number
  /** Those of one address. Default 8: js-ipfs has up to 4. */
  readonly maxCallsPerAddress?: number
  /** From the start to the last byte. Default 2 min: lookups that find nothing take 1. */
  readonly maxMs?: number
}

/** A record is 10 KiB at most, and multipart adds its boundaries. */
const maxBodyBytes = 64 * 1024
const maxAnswerBytes = 16 * 1024 * 1024
/** An answer of `/routing/v1` is one line of JSON, whatever is in it. */
const maxLineBytes = 1024 * 1024
/** The backend's own timeout strikes first: only then does it say what it has. */
const replyGraceMs = 1_000
const comeBackMs = 5_000
const multipart = /^multipart\/form-data\s*;\s*boundary=[\w'()+,./:=?" -]{1,200}$/i

export class Delegates {
  readonly #deps: DelegatesDeps
  readonly #turnstile: Turnstile
  readonly #maxMs: number

  constructor(deps: DelegatesDeps, options: DelegatesOptions = {}) {
    this.#deps = deps
    this.#turnstile = new Turnstile(options.maxCalls ?? 64, options.maxCallsPerAddress ?? 8)
    this.#maxMs = options.maxMs ?? 2 * 60_000
  }

  /** The commands of `/api/v0` that are served. */
  get commands(): readonly ForwardedCommand[] {
    return this.#deps.allowed.filter((command) => command !== 'routing/v1')
  }

  /** Whether `/routing/v1` is served. */
  get routes(): boolean {
    return this.#deps.chooseGateway !== undefined && this.#deps.allowed.includes('routing/v1')
  }

  /** Answers a command. */
  answer(command: ForwardedCommand, request: Request, address: string): Promise<Response> {
    const call = parseCall(command, new URL(request.url).search, this.#maxMs - replyGraceMs)
    if (!call.ok) return Promise.resolve(kuboError(400, call.reason))
    return this.#within(address, async (leave) => {
      const body = await readBody(request, maxBodyBytes)
      if (body === 'too-big') return kuboError(413, 'the body is larger than 64 KiB')
      const type = request.headers.get('content-type') ?? ''
      if (body === 'cut-off' || (call.value.takesBody && !multipart.test(type))) {
        return kuboError(400, 'the value is due in the body, as multipart/form-data')
      }
      // Clients of old call it for what it does to a node without the block: it is fetched, from them.
      if (command === 'block/stat') {
        await this.#deps.fetchFromCaller?.(call.value.key, address, request.signal)
      }
      const target = this.#deps.choose(call.value.key)
      return this.#forward(target, leave, { ...asRequest(call.value, type, body), signal: request.signal })
    })
  }

  /** Answers a lookup of `/routing/v1` (https://specs.ipfs.tech/routing/http-routing-v1/). */
  lookup(request: Request, address: string): Promise<Response> {
    const url = new URL(request.url)
    const lookup = parseLookup(url, request.headers.get('accept') ?? '')
    if (lookup === undefined) return Promise.resolve(kuboError(404, 'there is no such lookup'))
    if (!lookup.ok) return Promise.resolve(kuboError(400, lookup.reason))
    return this.#within(address, (leave) => {
      const { path, accept, key } = lookup.value
      return this.#forward(this.#deps.chooseGateway?.(key), leave, {
        method: 'GET',
        path,
        headers: { accept },
        timeoutMs: this.#maxMs,
        lastWords: () => '',
        signal: request.signal,
      })
    })
  }

  /** Runs a call if there is room for it; `leave` gives its place back, and is called at the latest when it fails. */
  async #within(address: string, run: (leave: () => void) => Promise<Response>): Promise<Response> {
    const leave = this.#turnstile.enter(this.#deps.groupOf(address))
    if (leave === undefined) {
      return kuboError(429, 'too many lookups at once: wait until some have ended', {
        retryAfterMs: comeBackMs,
      })
    }
    const response = await run(leave).catch((error: unknown) => {
      leave()
      throw error
    })
    if (response.status !== 200) leave()
    return response
  }

  async #forward(
    target: RpcTarget | undefined,
    leave: () => void,
    request: Omit<ForwardRequest, 'target' | 'maxBytes' | 'maxLineBytes' | 'rewrite' | 'over'>,
  ): Promise<Response> {
    if (target === undefined) {
      return kuboError(503, 'nobody can look this up now: try again', { retryAfterMs: comeBackMs })
    }
    const answer = await forward({
      ...request,
      target,
      maxBytes: maxAnswerBytes,
      maxLineBytes,
      rewrite: (line) => disguised(line, this.#deps.disguise),
      over: leave,
    })
    return this.#respond(answer)
  }

  #respond(answer: ForwardAnswer): Response {
    if (answer.kind === 'answer') return new Response(answer.body, { headers: answer.headers })
    if (answer.kind === 'refused') return kuboError(answer.status, answer.message)
    this.#deps.onLost?.(answer.reason)
    if (answer.timedOut) return kuboError(504, 'nothing was found in time')
    return kuboError(502, 'this could not be looked up now: try again')
  }
}

function asRequest(call: BackendCall, contentType: string, body: Uint8Array) {
  const query = new URLSearchParams(call.query.map(([name, value]) => [name, value]))
  return {
    method: 'POST' as const,
    path: `/api/v0/${call.command}?${query}`,
    headers: call.takesBody ? { 'content-type': contentType } : {},
    ...(call.takesBody && { body }),
    timeoutMs: call.timeoutMs + replyGraceMs,
    lastWords: (message: string) => kuboErrorLine(message),
  }
}
