/**
 * An HTTP interface as a closed list of routes. Whatever is not on it gets a short JSON answer: 404 for a path,
 * 405 with `Allow` for a method, 500 without a word about the inside for a bug.
 */
import { type Context, Hono } from 'hono'

export interface Route {
  readonly path: string
  /** HEAD comes with GET. */
  readonly methods: readonly ('GET' | 'POST')[]
  /** Answers; may throw. */
  answer(context: Context): Response | Promise<Response>
}

export interface StrictRoutesOptions {
  /** Told of what a route threw. The client is told nothing. */
  readonly onError?: (error: unknown, path: string) => void
}

/** Returns an app that serves these routes and nothing else; no answer may be cached that does not say so. */
export function strictRoutes(routes: readonly Route[], options: StrictRoutesOptions = {}): Hono {
  const app = new Hono()
  app.use(async (context, next) => {
    await next()
    if (!context.res.headers.has('cache-control')) context.res.headers.set('cache-control', 'no-store')
    context.res.headers.set('x-content-type-options', 'nosniff')
  })
  for (const { path, methods, answer } of routes) {
    const allowed = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
    app.on([...methods], path, (context) => answer(context))
    app.all(path, (context) =>
      context.json({ error: 'method not allowed', allowed }, 405, { allow: allowed }),
    )
  }
  app.notFound((context) => context.json({ error: 'not found' }, 404))
  app.onError((error, context) => {
    options.onError?.(error, context.req.path)
    return context.json({ error: 'internal error' }, 500)
  })
  return app
}
