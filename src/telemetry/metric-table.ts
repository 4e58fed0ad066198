/**
 * Every metric of Kitsune, declared once; its help text says what a rise means. Values are read from plain
 * fields at each scrape. Labels come from closed lists and from the configuration, never from a peer, so the
 * number of series is bounded and no client can be told from them.
 */
import type { BackendState, BackendStatus } from '#src/pool/backend.ts'
import { doorMetrics } from '#src/telemetry/door-metrics.ts'
import {
  byKey,
  counter,
  type FieldMetric,
  gauge,
  histogram,
  type Labels,
} from '#src/telemetry/field-metric.ts'
import type { MetricsDeps } from '#src/telemetry/metrics.ts'
import { preloadMetrics } from '#src/telemetry/preload-metrics.ts'
import type { ProcessMetrics } from '#src/telemetry/process-metrics.ts'

/** Returns all metrics of one edge. */
export function metricTable(deps: MetricsDeps, ownProcess: ProcessMetrics): FieldMetric[] {
  return [
    ...buildMetrics(deps),
    ...doorMetrics(deps),
    ...clientMetrics(deps),
    ...relayMetrics(deps),
    ...preloadMetrics(deps),
    ...backendMetrics(deps),
    ...processMetrics(deps, ownProcess),
  ]
}

/** The flow from backends to clients; that from clients to backends has names of its own. */
const retrieval: Labels = { flow: 'retrieval' }

function buildMetrics({ version, commit, runtime, region }: MetricsDeps): FieldMetric[] {
  return [
    gauge(
      'kitsune_build_info',
      'Always 1; the labels say what runs here. Several values of version or commit: a roll-out is under way.',
      () => [{ labels: { version, commit, runtime, region }, value: 1 }],
    ),
  ]
}

function clientMetrics({ counters, gauges }: MetricsDeps): FieldMetric[] {
  return [
    gauge(
      'kitsune_clients',
      'Clients connected that speak Bitswap. Far below the connections: many connect and ask for nothing.',
      () => gauges().clients,
    ),
    counter(
      'kitsune_wants_total',
      'Wants that clients sent, repeats left out. The rate is the demand.',
      () => [{ labels: retrieval, value: counters.wants }],
    ),
    counter(
      'kitsune_wants_ended_total',
      'Wants by how they ended. More dont-have: the pool lacks what is asked for; more cancelled or gone: clients gave up waiting, or got it elsewhere.',
      () => byKey('outcome', counters.wantsEnded, retrieval),
    ),
    gauge(
      'kitsune_wants_outstanding',
      'Wants of clients held now. A steady rise: backends answer slower than clients ask.',
      () => gauges().wants,
    ),
    histogram(
      'kitsune_want_duration_seconds',
      'From a want to the handing of its block to the connection. A rise is what users feel: compare it with the backend latency to see which side is slow.',
      () => [{ labels: retrieval, histogramMs: counters.wantLatencyMs }],
    ),
    counter('kitsune_blocks_sent_total', 'Blocks sent to clients. The rate is the work done.', () => [
      { labels: retrieval, value: counters.blocksOut },
    ]),
    counter(
      'kitsune_block_sent_bytes_total',
      'Bytes of the blocks sent to clients. The rate is the traffic served.',
      () => [{ labels: retrieval, value: counters.bytesOut }],
    ),
    gauge(
      'kitsune_outbox_bytes',
      'Block bytes queued for clients. Near its limit: clients read slower than backends deliver, and blocks are deferred.',
      () => gauges().outboxBytes,
    ),
    counter(
      'kitsune_blocks_deferred_total',
      'Blocks dropped because their reader was too slow; they are asked for again. A rise costs backend traffic: raise the buffers or look for slow readers.',
      () => counters.deferredBlocks,
    ),
    counter(
      'kitsune_refused_total',
      'Input refused, by the side it came from and the reason. Client limits: too small, or abuse. Anything from a backend: a broken or lying backend.',
      () => [
        ...byKey('reason', counters.refusedClient, { side: 'client' }),
        ...byKey('reason', counters.refusedBackend, { side: 'backend' }),
      ],
    ),
  ]
}

function relayMetrics({ counters, gauges }: MetricsDeps): FieldMetric[] {
  return [
    gauge(
      'kitsune_pending',
      'Distinct blocks being looked for at backends. A rise without more wants: backends are slow, or asked for what they lack.',
      () => gauges().pending,
    ),
    counter(
      'kitsune_wants_coalesced_total',
      'Wants that joined one already pending. A rise is good: one answer of a backend serves several clients.',
      () => counters.coalesced,
    ),
    counter(
      'kitsune_cache_hits_total',
      'Wants answered from the cache. A rise is good: backends are spared.',
      () => counters.cacheHits,
    ),
    counter(
      'kitsune_cache_misses_total',
      'Wants that the cache could not answer. A rise against the hits: the cache is too small, or nothing is asked for twice.',
      () => counters.cacheMisses,
    ),
    gauge(
      'kitsune_cache_bytes',
      'Bytes of the blocks in the cache. It rises to the configured size and stays there.',
      () => gauges().cacheBytes,
    ),
    gauge(
      'kitsune_cache_blocks',
      'Blocks in the cache. A rise at the same bytes: blocks have become smaller.',
      () => gauges().cacheBlocks,
    ),
    gauge(
      'kitsune_presence_entries',
      'Entries of the memory of which backend has what. It rises to its limit and stays there.',
      () => gauges().presenceEntries,
    ),
    counter(
      'kitsune_misses_total',
      'Fetches of content that no backend had, by outcome. More timeout or over-budget: clients ask for what is hard to find; more error: look at the backends.',
      () => byKey('outcome', counters.misses),
    ),
    counter(
      'kitsune_gateway_requests_total',
      "Requests for large blocks at backends' gateways by outcome; found came that way, all else went on by Bitswap. More absent: the gateway is not that of the backend, or clients ask for what it lacks; any other: look at the gateway.",
      () => byKey('outcome', counters.gateway),
    ),
    counter(
      'kitsune_gateway_received_bytes_total',
      'Bytes of the verified blocks that came by gateways, also in kitsune_block_received_bytes_total. A fall at the same traffic: gateways fail, or are slower than Bitswap.',
      () => counters.gatewayBytes,
    ),
    gauge(
      'kitsune_misses_under_way',
      'Fetches of content that no backend had, running now. At the limit: further ones wait or are refused.',
      () => gauges().missesUnderWay,
    ),
  ]
}

const backendStates = { connecting: 0, ready: 0, unresponsive: 0 } satisfies Record<BackendState, number>

function backendMetrics({ counters, backends }: MetricsDeps): FieldMetric[] {
  const each = (value: (status: BackendStatus) => number) =>
    named(backends()).map(({ labels, status }) => ({ labels, value: value(status) }))
  return [
    gauge(
      'kitsune_backend_state',
      'State of each backend: 1 for the one it is in, 0 for the others. Not ready: fewer backends carry the load.',
      () =>
        named(backends()).flatMap(({ labels, status }) =>
          byKey('state', { ...backendStates, [status.state]: 1 }, labels),
        ),
    ),
    gauge(
      'kitsune_backend_lanes_up',
      'Lanes connected to each backend. Below the configured number for long: the backend limits connections, or its allowlist is missing us.',
      () => each((status) => status.lanes.up),
    ),
    gauge(
      'kitsune_backend_lanes_configured',
      'Lanes that each backend should have. It changes with the configuration only.',
      () => each((status) => status.lanes.configured),
    ),
    gauge(
      'kitsune_backend_outstanding',
      'Asks sent to each backend and not answered. A rise at one backend: it is slower than the others.',
      () => each((status) => status.outstanding),
    ),
    counter(
      'kitsune_backend_blocks_total',
      'Blocks received from each backend. Uneven rates: the content is where it is, or a backend is out.',
      () => each((status) => status.blocks),
    ),
    counter(
      'kitsune_backend_bytes_total',
      'Bytes of the blocks received from each backend. The rate is the traffic it carries.',
      () => each((status) => status.bytes),
    ),
    histogram(
      'kitsune_backend_latency_seconds',
      'From an ask to the answer of the backend. A rise: it is overloaded, or far away.',
      () => named(backends()).map(({ labels, status }) => ({ labels, histogramMs: status.latencyMs })),
    ),
    counter(
      'kitsune_blocks_received_total',
      'Verified blocks received from backends. Well above the distinct blocks sent: the same is fetched again and again.',
      () => [{ labels: retrieval, value: counters.blocksIn }],
    ),
    counter(
      'kitsune_block_received_bytes_total',
      'Bytes of the verified blocks received from backends. The rate is the load on the private network.',
      () => [{ labels: retrieval, value: counters.bytesIn }],
    ),
    counter(
      'kitsune_asks_total',
      'want-block and want-have sent to backends. A rise against the wants: content is searched for in several places.',
      () => counters.asks,
    ),
    counter(
      'kitsune_asks_stalled_total',
      'Asks that a backend left unanswered for too long, so that others were asked. A rise: a backend is stuck.',
      () => counters.stalledAsks,
    ),
    counter(
      'kitsune_asks_moved_total',
      'Asks moved because their lane was lost. A rise: connections to a backend break.',
      () => counters.movedAsks,
    ),
  ]
}

/** Backends with their label. Equal names would make equal series, for which Prometheus refuses the whole page. */
function named(backends: readonly BackendStatus[]): { labels: Labels; status: BackendStatus }[] {
  const seen = new Map<string, number>()
  return backends.map((status) => {
    const times = (seen.get(status.name) ?? 0) + 1
    seen.set(status.name, times)
    return { labels: { backend: times === 1 ? status.name : `${status.name}#${times}` }, status }
  })
}

function processMetrics({ counters }: MetricsDeps, own: ProcessMetrics): FieldMetric[] {
  return [
    histogram(
      'kitsune_event_loop_lag_seconds',
      'How late the event loop came to a timer. Above some 50 ms: the process has more to do than one core can.',
      () => [{ labels: {}, histogramMs: own.loopLagMs }],
    ),
    gauge(
      'kitsune_process_memory_bytes',
      'Memory of the process by kind. A rise of resident that no other gauge here explains is a leak: please report it.',
      () => {
        const now = own.read()
        return byKey('kind', {
          resident: now.residentBytes,
          heap_used: now.heapUsedBytes,
          heap_total: now.heapTotalBytes,
          external: now.externalBytes,
        })
      },
    ),
    counter(
      'kitsune_process_cpu_seconds_total',
      'CPU time used. A rate near 1 of user and system together: one core is full.',
      () => {
        const now = own.read()
        return byKey('mode', { user: now.userCpuSeconds, system: now.systemCpuSeconds })
      },
    ),
    gauge(
      'kitsune_process_open_files',
      'Open file descriptors, where the system tells. Near the limit of the process: raise it, or connections fail.',
      () => {
        const openFiles = own.countOpenFiles()
        return openFiles === undefined ? [] : [{ labels: {}, value: openFiles }]
      },
    ),
    counter(
      'kitsune_uncaught_faults_total',
      'Faults that no part of the program caught; it goes on. Any rise is a bug: please report the log line.',
      () => counters.uncaughtFaults,
    ),
    gauge(
      'kitsune_process_start_time_seconds',
      'When the process began, since 1970. A rise is a restart.',
      () => own.startSeconds,
    ),
  ]
}
