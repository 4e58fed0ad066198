import { expect, test } from 'bun:test'
import type { BackendStatus } from '#src/pool/backend.ts'
import { Counters, type Gauges, missOutcomes, refusalReasons, wantOutcomes } from '#src/relay/counters.ts'
import { createMetrics, type MetricsDeps } from '#src/telemetry/metrics.ts'
import { Histogram } from '#src/util/histogram.ts'
import { parsePrometheusText } from '#test/unit/telemetry/prometheus-text.ts'

const gauges: Gauges = {
  clients: 1,
  wants: 2,
  pending: 3,
  outboxBytes: 4,
  cacheBytes: 5,
  cacheBlocks: 6,
  presenceEntries: 7,
  missesUnderWay: 8,
  refs: 14,
  grants: 15,
  grantedBlocks: 16,
  pulls: 17,
  supplyBytes: 18,
}

function backend(name: string, more: Partial<BackendStatus> = {}): BackendStatus {
  return {
    name,
    state: 'ready',
    addresses: [],
    lanes: { up: 3, configured: 4 },
    outstanding: 9,
    blocks: 10,
    bytes: 11,
    latencyMs: new Histogram([1, 10, 2_500]),
    ...more,
  }
}

const noConnections = { tcp: 0, ws: 0, wss: 0, 'quic-v1': 0, 'webrtc-direct': 0, webtransport: 0 }

function deps(more: Partial<MetricsDeps> = {}): MetricsDeps {
  return {
    counters: new Counters(),
    publicRequests: { served: 19 },
    gauges: () => gauges,
    backends: () => [backend('http://10.0.0.11:5001')],
    connections: () => ({ ...noConnections, tcp: 12, ws: 13 }),
    doors: () => [
      { address: '/ip4/0.0.0.0/tcp/4001', kind: 'tcp' },
      { address: '/ip4/0.0.0.0/udp/4001/quic-v1', kind: 'quic-v1', fault: 'no addon' },
    ],
    certificates: undefined,
    version: '1.2.3',
    commit: 'abc',
    region: 'fra',
    runtime: 'bun 1.4.5',
    ...more,
  }
}

/** Reads the page as a server would; returns the value of a series, `undefined` when it is not there. */
async function scrape(given: MetricsDeps) {
  const metrics = parsePrometheusText(await createMetrics(given).render())
  const value = (name: string, labels: Record<string, string> = {}) => {
    const family = metrics.get(name) ?? metrics.get(name.replace(/_(bucket|sum|count)$/, ''))
    return family?.samples.get(`${name}${JSON.stringify(Object.entries(labels).sort())}`)?.value
  }
  return { metrics, value }
}

test('every metric is named, typed and explained by the rules', async () => {
  const { metrics } = await scrape(deps())
  expect(metrics.size).toBeGreaterThan(35)
  for (const [name, { help, type }] of metrics) {
    expect(name).toMatch(/^kitsune_[a-z_]+$/)
    expect(`${name} ${name.endsWith('_total')}`).toBe(`${name} ${type === 'counter'}`)
    if (type === 'histogram') expect(name).toEndWith('_seconds')
    expect(name).not.toMatch(/_(ms|milliseconds|kb|mb)(_|$)/)
    expect(help.length).toBeGreaterThan(40)
    expect(help).toEndWith('.')
  }
})

test('certificates tell their end, each by its first name, and how often they changed', async () => {
  const name = 'node0.example.net'
  const { value } = await scrape(
    deps({
      certificates: {
        status: [
          { name, notAfterMs: 1_800_000_000_500 },
          { name, notAfterMs: 1_900_000_000_000 },
          { name: '', notAfterMs: 1_000 },
        ],
        reloads: { taken: 3, refused: 1 },
      },
    }),
  )
  expect(value('kitsune_tls_certificate_not_after_seconds', { name })).toBe(1_800_000_000.5)
  expect(value('kitsune_tls_certificate_not_after_seconds', { name: '' })).toBe(1)
  expect(value('kitsune_tls_reloads_total', { outcome: 'taken' })).toBe(3)
  expect(value('kitsune_tls_reloads_total', { outcome: 'refused' })).toBe(1)
})

test('plain fields are read at each scrape', async () => {
  const counters = new Counters()
  const metrics = createMetrics(deps({ counters }))
  expect(await metrics.render()).toContain('kitsune_wants_total{flow="retrieval"} 0\n')
  counters.wants = 41
  expect(await metrics.render()).toContain('kitsune_wants_total{flow="retrieval"} 41\n')
})

test('closed lists are complete from the first scrape on', async () => {
  const counters = new Counters()
  counters.refusedBackend['wrong-block'] = 2
  const { value } = await scrape(deps({ counters }))
  for (const reason of refusalReasons) {
    expect(value('kitsune_refused_total', { side: 'client', reason })).toBe(0)
  }
  expect(value('kitsune_refused_total', { side: 'backend', reason: 'wrong-block' })).toBe(2)
  for (const outcome of wantOutcomes) {
    expect(value('kitsune_wants_ended_total', { flow: 'retrieval', outcome })).toBe(0)
  }
  for (const outcome of missOutcomes) expect(value('kitsune_misses_total', { outcome })).toBe(0)
})

test('what an operator looks at is there', async () => {
  const { value } = await scrape(deps())
  const build = { version: '1.2.3', commit: 'abc', runtime: 'bun 1.4.5', region: 'fra' }
  expect(value('kitsune_build_info', build)).toBe(1)
  expect(value('kitsune_connections', { transport: 'ws' })).toBe(13)
  expect(value('kitsune_pending')).toBe(3)
  expect(value('kitsune_outbox_bytes')).toBe(4)
  expect(value('kitsune_misses_under_way')).toBe(8)
  const labels = { backend: 'http://10.0.0.11:5001' }
  expect(value('kitsune_backend_state', { ...labels, state: 'ready' })).toBe(1)
  expect(value('kitsune_backend_state', { ...labels, state: 'connecting' })).toBe(0)
  expect(value('kitsune_backend_state', { ...labels, state: 'unresponsive' })).toBe(0)
  expect(value('kitsune_backend_lanes_up', labels)).toBe(3)
  expect(value('kitsune_backend_bytes_total', labels)).toBe(11)
  expect(value('kitsune_process_memory_bytes', { kind: 'resident' })).toBeGreaterThan(1e6)
  expect(value('kitsune_process_cpu_seconds_total', { mode: 'user' })).toBeGreaterThan(0)
  const startSeconds = value('kitsune_process_start_time_seconds') ?? 0
  expect(Math.abs(Date.now() / 1000 - process.uptime() - startSeconds)).toBeLessThan(5)
  if (process.platform === 'linux') expect(value('kitsune_process_open_files')).toBeGreaterThan(2)
})

test('histograms are cumulative and in seconds', async () => {
  const latencyMs = new Histogram([1, 10, 2_500])
  for (const ms of [0.5, 5, 5, 9_000]) latencyMs.observe(ms)
  const { value } = await scrape(deps({ backends: () => [backend('b', { latencyMs })] }))
  const bucket = (le: string) => value('kitsune_backend_latency_seconds_bucket', { backend: 'b', le })
  expect([bucket('0.001'), bucket('0.01'), bucket('2.5'), bucket('+Inf')]).toEqual([1, 3, 3, 4])
  expect(value('kitsune_backend_latency_seconds_count', { backend: 'b' })).toBe(4)
  expect(value('kitsune_backend_latency_seconds_sum', { backend: 'b' })).toBeCloseTo(9.0105)
})

test('odd names of regions and backends are escaped, equal ones kept apart', async () => {
  const odd = 'a"b\\c\nd,e="f"} 1'
  const backends = [backend(odd), backend('twin', { blocks: 1 }), backend('twin', { blocks: 2 })]
  const { value } = await scrape(deps({ region: odd, backends: () => backends }))
  expect(
    value('kitsune_build_info', { version: '1.2.3', commit: 'abc', runtime: 'bun 1.4.5', region: odd }),
  ).toBe(1)
  expect(value('kitsune_backend_blocks_total', { backend: odd })).toBe(10)
  expect(value('kitsune_backend_blocks_total', { backend: 'twin' })).toBe(1)
  expect(value('kitsune_backend_blocks_total', { backend: 'twin#2' })).toBe(2)
})

test('without backends the page is still valid', async () => {
  const { metrics } = await scrape(deps({ backends: () => [] }))
  expect(metrics.get('kitsune_backend_state')?.samples.size).toBe(0)
})

test('two edges in one process do not share metrics', async () => {
  const counters = new Counters()
  counters.asks = 5
  const one = createMetrics(deps({ counters }))
  const other = createMetrics(deps())
  expect(await one.render()).toContain('kitsune_asks_total 5\n')
  expect(await other.render()).toContain('kitsune_asks_total 0\n')
})

test('the reader used here refuses what a server would refuse', () => {
  const declared = '# HELP a b\n# TYPE a gauge\n'
  for (const bad of [
    'a 1\n',
    '# TYPE a gauge\na 1\n',
    `${declared}a one\n`,
    `${declared}a 1\na 1\n`,
    `${declared}b 1\n`,
    `${declared}a{x="1} 1\n`,
    `${declared}a{x="a"b"} 1\n`,
    `${declared}${declared}`,
    `${declared}a 1`,
  ]) {
    expect(() => parsePrometheusText(bad)).toThrow()
  }
})
