/**
 * The web port to everybody: the part of Kubo's RPC that is served to the public, on the port where clients also
 * speak WebSocket. No version, no backend, no state of the pool.
 *
 * | method and path               | answer                                                                          |
 * |-------------------------------|---------------------------------------------------------------------------------|
 * | GET /healthz                  | 200, text `ok`, while the process lives                                         |
 * | GET /                         | 200, a page for people                                                          |
 * | GET, POST /api/v0/refs        | as Kubo; 2xx only when a backend is at work, see `refs-answer`                  |
 * | GET, POST /api/v0/…           | what the operator allowed, see `delegates`                                      |
 * | GET /routing/v1/…             | the same                                                                        |
 * | OPTIONS on any of the last    | 204, for browsers                                                               |
 *
 * Everything else is 404, another method 405 with `Allow`; no backend hears of either. A query over 8 KiB is 414.
 */
import type { Context, Hono } from 'hono'
import { Delegates, type DelegatesDeps } from '#src/http/delegates.ts'
import { homePage } from '#src/http/home-page.ts'
import { apiMethods, crossOrigin, kuboError } from '#src/http/kubo-answer.ts'
import { answerRefs, gone } from '#src/http/refs-answer.ts'
import { parseRefsQuery } from '#src/http/refs-query.ts'
import { readBody } from '#src/http/request-body.ts'
import { strictRoutes } from '#src/http/strict-routes.ts'
import type { KnowsHash } from '#src/relay/ports.ts'
import type { RefsCalls } from '#src/relay/preload/refs.ts'

/** What is known of a caller besides its request. */
export interface CallerFacts {
  /** Its IP address. */
  readonly remoteAddress: string
}

/** How a request of the API was answered. One word each: they are metric labels. */
export const publicOutcomes = [
  'served',
  'failed',
  'abandoned',
  'unknown-path',
  'bad-method',
  'bad-request',
  'too-many',
] as const
export type PublicOutcome = (typeof publicOutcomes)[number]

export interface PublicDeps {
  /** Absent where no backend can do a refs: it is then unknown. */
  readonly refs: RefsCalls | undefined
  /** Absent where nothing is allowed. */
  readonly forward: DelegatesDeps | undefined
  readonly knowsHash: KnowsHash
  /** Told how each request of the API was answered, when the answer begins. */
  readonly count?: (outcome: PublicOutcome) => void
  /** Told of what a route threw; the client only sees a 500. */
  readonly onError?: (error: unknown, path: string) => void
}

/** The app, in the shape of what the web port calls. */
export interface PublicApp {
  fetch(request: Request, facts: CallerFacts): Response | Promise<Response>
}

const maxUrlCharacters = 8 * 1024
/** A refs has an empty body; what comes all the same is thrown away. */
const maxRefsBodyBytes = 16 * 1024

/** Returns the app of the web port. */
export function createPublic(deps: PublicDeps): PublicApp {
  const { refs, forward, onError } = deps
  const page = homePage(refs !== undefined)
  const app = strictRoutes(
    [
      { path: '/healthz', methods: ['GET'], answer: (context) => context.text('ok') },
      {
        path: '/',
        methods: ['GET'],
        answer: (context) => context.html(page, 200, { 'content-security-policy': "default-src 'none'" }),
      },
    ],
    onError === undefined ? {} : { onError },
  )
  const api: Api = { app, count: (outcome) => deps.count?.(outcome) }
  for (const path of ['/api/*', '/routing/*']) {
    app.use(path, crossOrigin, async (context, next) => {
      if (context.req.url.length <= maxUrlCharacters) return next()
      api.count('bad-request')
      return kuboError(414, 'the query is longer than 8 KiB')
    })
  }
  if (refs !== undefined) serveRefs(api, refs, deps.knowsHash)
  if (forward !== undefined) serveDelegates(api, new Delegates(forward))
  for (const path of ['/api/*', '/routing/*']) {
    app.all(path, () => {
      api.count('unknown-path')
      return kuboError(404, 'not served here')
    })
  }
  return { fetch: (request, facts) => app.fetch(request, facts) }
}

interface Api {
  readonly app: Hono
  count(outcome: PublicOutcome): void
}

function serveRefs(api: Api, refs: RefsCalls, knowsHash: KnowsHash): void {
  serve(api, '/api/v0/refs', apiMethods, async (request, address) => {
    const asked = parseRefsQuery(new URL(request.url).search, knowsHash)
    if (!asked.ok) return kuboError(400, asked.reason)
    const body = await readBody(request, maxRefsBodyBytes)
    if (body === 'too-big') return kuboError(413, 'the body is larger than 16 KiB; refs needs none')
    if (body === 'cut-off') return kuboError(400, 'the body did not come whole')
    return answerRefs(refs, { ...asked.value, address }, request.signal)
  })
}

function serveDelegates(api: Api, delegates: Delegates): void {
  for (const command of delegates.commands) {
    serve(api, `/api/v0/${command}`, apiMethods, (request, address) =>
      delegates.answer(command, request, address),
    )
  }
  if (!delegates.routes) return
  serve(api, '/routing/v1/*', 'GET, OPTIONS', (request, address) => delegates.lookup(request, address))
}

/** Serves a path to these methods; OPTIONS is answered before it. */
function serve(
  { app, count }: Api,
  path: string,
  allow: string,
  answer: (request: Request, address: string) => Promise<Response>,
): void {
  app.all(path, async (context: Context) => {
    // Hono hands HEAD to those who serve GET; no answer of ours is worth the work without its body.
    const { method } = context.req
    if (!allow.split(', ').includes(method)) {
      count('bad-method')
      return kuboError(405, `${method} is not served here`, { allow })
    }
    const response = await answer(context.req.raw, (context.env as CallerFacts).remoteAddress)
    count(outcomeOf(response.status))
    return response
  })
}

function outcomeOf(status: number): PublicOutcome {
  // 404: it was looked for.
  if (status < 400 || status === 404) return 'served'
  if (status === 429) return 'too-many'
  if (status === gone) return 'abandoned'
  return status < 500 ? 'bad-request' : 'failed'
}
