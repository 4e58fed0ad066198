/**
 * The admin API, for load checks, scrapers and operators. Loopback by default; nothing on it changes state.
 *
 * | method and path        | answer                                                                         |
 * |------------------------|--------------------------------------------------------------------------------|
 * | GET /healthz           | 200, text `ok`, while the process lives                                        |
 * | GET /readyz            | 200 when ready, else 503; JSON `{ready, draining, reason?, backends}`          |
 * | GET /metrics           | 200, Prometheus text                                                           |
 * | GET, POST /api/v0/id   | 200, JSON in the shape of Kubo: ID, PublicKey, Addresses, AgentVersion, Protocols |
 * | GET /backends          | 200, JSON `{backends}`: every backend with its latency quantiles in ms         |
 *
 * HEAD works where GET does. Another path is 404, another method 405 with `Allow`, both JSON `{error}`.
 */
import type { Hono } from 'hono'
import { type Route, strictRoutes } from '#src/http/strict-routes.ts'
import type { BackendStatus } from '#src/pool/backend.ts'
import { estimateQuantile } from '#src/telemetry/quantile.ts'

/** Whether load checks should send clients here. */
export interface Readiness {
  readonly ready: boolean
  readonly draining: boolean
  /** Why it is not ready, in words. */
  readonly reason?: string
}

/** The public identity, as clients learn it. */
export interface PublicIdentity {
  /** The peer ID. */
  readonly id: string
  /** As libp2p writes it: the protobuf of type and key. */
  readonly publicKey: Uint8Array
  /** Announced multiaddrs, with or without `/p2p/…`. */
  readonly addresses: readonly string[]
  readonly agentVersion: string
  /** Stream protocols served, in any order. */
  readonly protocols: readonly string[]
}

export interface AdminDeps {
  readiness(): Readiness
  backends(): readonly BackendStatus[]
  identity(): PublicIdentity
  readonly metrics: { render(): Promise<string>; readonly contentType: string }
  /** Told of what a route threw; the client only sees a 500. */
  readonly onError?: (error: unknown, path: string) => void
}

/** Returns the admin API as an app; `serveHttp` puts it on a port. */
export function createAdmin(deps: AdminDeps): Hono {
  const routes: Route[] = [
    { path: '/healthz', methods: ['GET'], answer: (context) => context.text('ok') },
    {
      path: '/readyz',
      methods: ['GET'],
      answer: (context) => {
        const readiness = deps.readiness()
        const backends = deps.backends().map(briefly)
        return context.json({ ...readiness, backends }, readiness.ready ? 200 : 503)
      },
    },
    {
      path: '/metrics',
      methods: ['GET'],
      answer: async (context) =>
        context.body(await deps.metrics.render(), 200, { 'content-type': deps.metrics.contentType }),
    },
    {
      path: '/api/v0/id',
      methods: ['GET', 'POST'],
      answer: (context) => context.json(asKubo(deps.identity())),
    },
    {
      path: '/backends',
      methods: ['GET'],
      answer: (context) => context.json({ backends: deps.backends().map(inFull) }),
    },
  ]
  return strictRoutes(routes, deps.onError === undefined ? {} : { onError: deps.onError })
}

function briefly({ name, state, reason, lanes }: BackendStatus) {
  return { name, state, reason, lanes }
}

function inFull(status: BackendStatus) {
  const { latencyMs, ...rest } = status
  const quantile = (q: number) => {
    const ms = estimateQuantile(latencyMs, q)
    return ms === undefined ? null : Math.round(ms * 100) / 100
  }
  return {
    ...rest,
    latencyMs: { count: latencyMs.count, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
  }
}

/** The answer of Kubo's `id`, so that tools made for Kubo can be pointed at an edge. */
function asKubo({ id, publicKey, addresses, agentVersion, protocols }: PublicIdentity) {
  const suffix = `/p2p/${id}`
  return {
    ID: id,
    PublicKey: Buffer.from(publicKey).toString('base64'),
    Addresses: addresses.map((address) => (address.endsWith(suffix) ? address : address + suffix)),
    AgentVersion: agentVersion,
    Protocols: [...protocols].sort(),
  }
}
