/**
 * Metrics that are read, not written: the hot path bumps plain fields, and a scrape asks for their values.
 * A `prom-client` counter costs some 180 ns per `inc()` and keeps a copy of its own; this keeps nothing.
 */
import type { Metric, Registry } from 'prom-client'
import type { Histogram } from '#src/util/histogram.ts'

export type Labels = Readonly<Record<string, string>>

/** One line of a metric: its value under these labels. */
export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** A histogram under these labels. It counts in milliseconds; the metric is in seconds. */
export interface HistogramSample {
  readonly labels: Labels
  readonly histogramMs: Histogram
}

type ReadValues = () => number | readonly Sample[]
type ReadHistograms = () => readonly HistogramSample[]

/** A metric, and how to read it. */
export type FieldMetric = {
  /** `kitsune_…` in base units; counters end in `_total`. */
  readonly name: string
  /** What it counts, and what a rise means. */
  readonly help: string
} & (
  | { readonly type: 'counter' | 'gauge'; readonly read: ReadValues }
  | { readonly type: 'histogram'; readonly read: ReadHistograms }
)

/** Returns a metric that only grows while the process lives. */
export function counter(name: string, help: string, read: ReadValues): FieldMetric {
  return { type: 'counter', name, help, read }
}

/** Returns a metric of what is now. */
export function gauge(name: string, help: string, read: ReadValues): FieldMetric {
  return { type: 'gauge', name, help, read }
}

/** Returns a metric of how values are distributed. */
export function histogram(name: string, help: string, read: ReadHistograms): FieldMetric {
  return { type: 'histogram', name, help, read }
}

/** Returns one sample per entry of a closed list. */
export function byKey(label: string, values: Readonly<Record<string, number>>, more: Labels = {}): Sample[] {
  return Object.entries(values).map(([key, value]) => ({ labels: { ...more, [label]: key }, value }))
}

interface Line {
  readonly metricName: string
  readonly labels: Labels
  readonly value: number
}

/** Adds the metric to the registry; it is read at each scrape. */
export function registerField(registry: Registry, metric: FieldMetric): void {
  const { name, help, type } = metric
  const exposed = {
    name,
    help,
    type,
    get: async () => ({ name, help, type, aggregator: 'sum', values: linesOf(metric) }),
    reset: () => {},
  }
  // A registry needs a name and `get()`; its declared type asks for a class with setters, which this is not.
  registry.registerMetric(exposed as unknown as Metric)
}

function linesOf(metric: FieldMetric): Line[] {
  const { name } = metric
  if (metric.type === 'histogram') {
    return metric.read().flatMap((sample) => histogramLines(name, sample))
  }
  const value = metric.read()
  if (typeof value === 'number') return [{ metricName: name, labels: {}, value }]
  return value.map((sample) => ({ metricName: name, ...sample }))
}

function histogramLines(name: string, { labels, histogramMs }: HistogramSample): Line[] {
  const lines: Line[] = []
  let atMost = 0
  for (const [bucket, boundMs] of histogramMs.bounds.entries()) {
    atMost += histogramMs.counts[bucket] as number
    lines.push({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(boundMs / 1000) },
      value: atMost,
    })
  }
  lines.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: histogramMs.count })
  lines.push({ metricName: `${name}_sum`, labels, value: histogramMs.sum / 1000 })
  lines.push({ metricName: `${name}_count`, labels, value: histogramMs.count })
  return lines
}
