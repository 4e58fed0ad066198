import { afterEach, beforeEach, expect, test } from 'bun:test'
import { createAdmin, type Readiness } from '#src/http/admin.ts'
import { type Served, serveHttp } from '#src/http/serve.ts'
import type { BackendStatus } from '#src/pool/backend.ts'
import { Histogram } from '#src/util/histogram.ts'

let readiness: Readiness
let backends: BackendStatus[]
let render: () => Promise<string>
let errors: unknown[]
let served: Served<{ readonly host: string; readonly port: number }>

beforeEach(async () => {
  readiness = { ready: true, draining: false }
  const latencyMs = new Histogram([10, 20])
  for (const ms of [5, 15, 15, 15]) latencyMs.observe(ms)
  backends = [
    {
      name: 'http://10.0.0.11:5001',
      state: 'ready',
      peerId: '12D3KooWB',
      agent: 'kubo/0.38.0',
      addresses: ['/ip4/10.0.0.11/tcp/4001'],
      lanes: { up: 4, configured: 4 },
      outstanding: 1,
      blocks: 2,
      bytes: 3,
      latencyMs,
    },
    {
      name: 'http://10.0.0.12:5001',
      state: 'connecting',
      reason: 'the RPC cannot be reached',
      addresses: [],
      lanes: { up: 0, configured: 4 },
      outstanding: 0,
      blocks: 0,
      bytes: 0,
      latencyMs: new Histogram([10, 20]),
    },
  ]
  errors = []
  render = async () => 'kitsune_up 1\n'
  const app = createAdmin({
    readiness: () => readiness,
    backends: () => backends,
    identity: () => ({
      id: '12D3KooWA',
      publicKey: Uint8Array.of(8, 1, 18, 32),
      addresses: ['/ip4/203.0.113.1/tcp/4001', '/ip4/203.0.113.1/tcp/4002/ws/p2p/12D3KooWA'],
      agentVersion: 'kitsune/1.2.3',
      protocols: ['/ipfs/ping/1.0.0', '/ipfs/bitswap/1.2.0'],
    }),
    metrics: { render: () => render(), contentType: 'text/plain; version=0.0.4; charset=utf-8' },
    onError: (error, path) => errors.push([path, error]),
  })
  served = await serveHttp(app.fetch, { host: '127.0.0.1', port: 0 })
})

afterEach(() => served.stop())

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${served.address.port}${path}`, init)

test('healthz is ok, whatever the backends', async () => {
  readiness = { ready: false, draining: true }
  const response = await ask('/healthz')
  expect([response.status, await response.text()]).toEqual([200, 'ok'])
  expect(response.headers.get('content-type')).toStartWith('text/plain')
})

test('readyz says whether and why not', async () => {
  const ready = await ask('/readyz')
  expect(ready.status).toBe(200)
  expect(await ready.json()).toEqual({
    ready: true,
    draining: false,
    backends: [
      { name: 'http://10.0.0.11:5001', state: 'ready', lanes: { up: 4, configured: 4 } },
      {
        name: 'http://10.0.0.12:5001',
        state: 'connecting',
        reason: 'the RPC cannot be reached',
        lanes: { up: 0, configured: 4 },
      },
    ],
  })
  readiness = { ready: false, draining: false, reason: 'no backend answers' }
  const down = await ask('/readyz')
  expect(down.status).toBe(503)
  expect(await down.json()).toMatchObject({ ready: false, draining: false, reason: 'no backend answers' })
  readiness = { ready: false, draining: true, reason: 'draining' }
  expect((await ask('/readyz')).status).toBe(503)
})

test('metrics come as Prometheus wants them', async () => {
  const response = await ask('/metrics')
  expect(await response.text()).toBe('kitsune_up 1\n')
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
})

test.each(['GET', 'POST'])('%s id answers in the shape of Kubo', async (method) => {
  const response = await ask('/api/v0/id', { method })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toStartWith('application/json')
  expect(await response.json()).toEqual({
    ID: '12D3KooWA',
    PublicKey: 'CAESIA==',
    Addresses: ['/ip4/203.0.113.1/tcp/4001/p2p/12D3KooWA', '/ip4/203.0.113.1/tcp/4002/ws/p2p/12D3KooWA'],
    AgentVersion: 'kitsune/1.2.3',
    Protocols: ['/ipfs/bitswap/1.2.0', '/ipfs/ping/1.0.0'],
  })
})

test('backends come with their latency summed up', async () => {
  const answer = (await (await ask('/backends')).json()) as { backends: unknown[] }
  expect(answer.backends[0]).toEqual({
    name: 'http://10.0.0.11:5001',
    state: 'ready',
    peerId: '12D3KooWB',
    agent: 'kubo/0.38.0',
    addresses: ['/ip4/10.0.0.11/tcp/4001'],
    lanes: { up: 4, configured: 4 },
    outstanding: 1,
    blocks: 2,
    bytes: 3,
    latencyMs: { count: 4, p50: 13.33, p95: 19.33, p99: 19.87 },
  })
  expect(answer.backends[1]).toMatchObject({ latencyMs: { count: 0, p50: null, p95: null, p99: null } })
})

test.each(['/', '/metrics/', '/api/v0/refs', '/debug', '/%00'])('%s is 404', async (path) => {
  const response = await ask(path)
  expect(response.status).toBe(404)
  expect(await response.json()).toEqual({ error: 'not found' })
})

test.each([
  ['POST', '/healthz', 'GET, HEAD'],
  ['DELETE', '/metrics', 'GET, HEAD'],
  ['PUT', '/api/v0/id', 'GET, HEAD, POST'],
  ['OPTIONS', '/readyz', 'GET, HEAD'],
])('%s %s is 405 and says what is allowed', async (method, path, allowed) => {
  const response = await ask(path, { method })
  expect(response.status).toBe(405)
  expect(response.headers.get('allow')).toBe(allowed)
  expect(await response.json()).toEqual({ error: 'method not allowed', allowed })
})

test.each(['/healthz', '/readyz', '/metrics', '/api/v0/id', '/backends'])('HEAD %s works', async (path) => {
  const response = await ask(path, { method: 'HEAD' })
  expect([response.status, await response.text()]).toEqual([200, ''])
})

test('nothing may be cached, mistakes neither', async () => {
  for (const path of ['/healthz', '/readyz', '/metrics', '/api/v0/id', '/backends', '/nothing']) {
    expect((await ask(path)).headers.get('cache-control')).toBe('no-store')
  }
})

test('a bug is a plain 500: the stack goes to the log, not to the client', async () => {
  const bug = new Error('s3cret inside')
  render = async () => {
    throw bug
  }
  const response = await ask('/metrics')
  expect(response.status).toBe(500)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.text()).toBe('{"error":"internal error"}')
  expect(errors).toEqual([['/metrics', bug]])
})
