import type { Registry } from 'prom-client'
import type { DoorKind } from '#src/config/listen.ts'
import type { BackendStatus } from '#src/pool/backend.ts'
import type { Counters, Gauges } from '#src/relay/counters.ts'
import { type FieldMetric, registerField } from '#src/telemetry/field-metric.ts'
import { metricTable } from '#src/telemetry/metric-table.ts'
import { ProcessMetrics } from '#src/telemetry/process-metrics.ts'

/** An address that is listened on; the fault says why it is not. */
export interface DoorState {
  readonly address: string
  readonly kind: DoorKind
  readonly fault?: string
}

/** The certificates of the web port: `Certificates`. */
export interface CertificateFigures {
  /** Those in use, each by its first name; the end in ms since 1970. */
  readonly status: readonly { readonly name: string; readonly notAfterMs: number }[]
  /** Changes of files, by what became of them. */
  readonly reloads: Readonly<Record<string, number>>
}

/** Where the figures are read from. All of it is asked at each scrape, so it must be cheap and must not throw. */
export interface MetricsDeps {
  readonly counters: Counters
  /** Requests to the public HTTP API, by outcome. */
  readonly publicRequests: Readonly<Record<string, number>>
  gauges(): Gauges
  backends(): readonly BackendStatus[]
  /** Client connections open now. */
  connections(): Readonly<Record<DoorKind, number>>
  /** What became of every address that is listened on. */
  doors(): readonly DoorState[]
  /** Those of the wss doors; undefined where there are none. */
  readonly certificates: CertificateFigures | undefined
  readonly version: string
  readonly commit: string
  readonly region: string
  /** Name and version: `bun 1.4.5`. */
  readonly runtime: string
}

export interface Metrics {
  /** Returns the page in Prometheus' text format. */
  render(): Promise<string>
  readonly contentType: string
  /** Begins to measure event-loop lag. */
  start(): void
  stop(): void
}

/** Returns the metrics of one edge, in a registry of its own; `metric-table.ts` lists them. */
export function createMetrics(deps: MetricsDeps): Metrics {
  const ownProcess = new ProcessMetrics()
  let registry: Promise<Registry> | undefined
  return {
    render: async () => {
      // The library is loaded by whoever looks first: an edge that starts does not wait for it.
      registry ??= registryOf(metricTable(deps, ownProcess))
      return (await registry).metrics()
    },
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    start: () => ownProcess.start(),
    stop: () => ownProcess.stop(),
  }
}

async function registryOf(metrics: readonly FieldMetric[]): Promise<Registry> {
  const { Registry } = await import('prom-client')
  const registry = new Registry()
  for (const metric of metrics) registerField(registry, metric)
  return registry
}
