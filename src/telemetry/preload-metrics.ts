/**
 * The metrics of preload, declared once like all others: see `metric-table.ts`.
 */
import { byKey, counter, type FieldMetric, gauge, histogram } from '#src/telemetry/field-metric.ts'
import type { MetricsDeps } from '#src/telemetry/metrics.ts'

/** Returns the metrics of preload. */
export function preloadMetrics({ counters, gauges, publicRequests }: MetricsDeps): FieldMetric[] {
  return [
    counter(
      'kitsune_http_requests_total',
      'Requests to the public HTTP API by how they were answered. More bad-request or unknown-path: somebody probes, or expects what is not allowed (KITSUNE_RPC_ALLOW); more failed: see kitsune_refs_total.',
      () => byKey('outcome', publicRequests),
    ),
    gauge(
      'kitsune_refs_under_way',
      'Refs of callers open now. A steady rise: their clients do not connect or upload slowly; at its limit callers get 429.',
      () => gauges().refs,
    ),
    counter(
      'kitsune_refs_total',
      'Refs by how they ended for their callers. More no-client: pages are gone before they were read, or their HTTP and libp2p come from different addresses; more no-backend or backend: look at the backends; more limit: content is larger than KITSUNE_PRELOAD_BYTES or _BLOCKS allow.',
      () => byKey('outcome', counters.refsEnded),
    ),
    counter(
      'kitsune_refs_refused_total',
      'Refs not taken, by reason. More rate or calls-per-address: one address asks too much, or a proxy in front hides many behind it; calls-total: the edge is full; no-backend: none is ready.',
      () => byKey('reason', counters.refsRefused),
    ),
    histogram(
      'kitsune_refs_duration_seconds',
      'From a refs to its end. A rise: clients upload slower, or connect later.',
      () => [{ labels: {}, histogramMs: counters.refsDurationMs }],
    ),
    gauge(
      'kitsune_grants',
      'DAGs that backends may have pulled from clients now. Above the refs: copies are being made.',
      () => gauges().grants,
    ),
    gauge(
      'kitsune_granted_blocks',
      'Blocks that the open grants name. Near KITSUNE_PRELOAD_BLOCKS_TOTAL: further refs fail with limit.',
      () => gauges().grantedBlocks,
    ),
    counter(
      'kitsune_grants_ended_total',
      'Grants by how they ended. More failed: see kitsune_refs_total; more abandoned: callers leave before their content is there.',
      () => byKey('outcome', counters.grantsEnded),
    ),
    gauge(
      'kitsune_pulls',
      'Blocks that backends want and clients are asked for. A rise without traffic: clients do not answer.',
      () => gauges().pulls,
    ),
    counter(
      'kitsune_backend_wants_total',
      'Wants that backends sent to the edge, by what was made of them. Ignored is normal: a backend tells every want to every peer; granted is preload at work; refused: CIDs that cannot be served.',
      () => byKey('verdict', counters.backWants),
    ),
    counter(
      'kitsune_client_asks_total',
      'want-block and want-have sent to clients. Far above the blocks pulled: many clients share an address, and the one that has the content is searched for.',
      () => counters.clientAsks,
    ),
    counter(
      'kitsune_blocks_pulled_total',
      'Verified blocks pulled from clients. The rate is what browsers add.',
      () => counters.pulledBlocks,
    ),
    counter(
      'kitsune_block_pulled_bytes_total',
      'Bytes of the blocks pulled from clients. The rate is the upload that is persisted.',
      () => counters.pulledBytes,
    ),
    counter(
      'kitsune_blocks_supplied_total',
      'Blocks given to backends that wanted them. Above the blocks pulled: content was there already, or copies are made.',
      () => counters.suppliedBlocks,
    ),
    counter(
      'kitsune_block_supplied_bytes_total',
      'Bytes of the blocks given to backends that wanted them. The rate is the load on the private network.',
      () => counters.suppliedBytes,
    ),
    gauge(
      'kitsune_supply_bytes',
      'Block bytes queued for backends. Near KITSUNE_PRELOAD_BUFFER: backends take blocks slower than clients bring them.',
      () => gauges().supplyBytes,
    ),
    counter(
      'kitsune_copies_total',
      'Further copies of preloaded content on further backends (KITSUNE_REPLICAS), by outcome. Failed: fewer backends have it than asked for.',
      () => byKey('outcome', counters.copies),
    ),
    counter(
      'kitsune_preload_trouble_total',
      'Times that a backend could not do what a refs needs. lost: another one was looked for; no-copy: one copy less. A rise: see the log for the backend and the reason.',
      () => byKey('kind', counters.preloadTrouble),
    ),
  ]
}
