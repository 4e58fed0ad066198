/** What an edge's `/metrics` say, asked by name and labels; the page must be one that Prometheus takes. */
import { type ParsedMetric, parsePrometheusText } from '#test/unit/telemetry/prometheus-text.ts'

/** One scrape. */
export interface EdgeMetrics {
  /** The sum of all samples of a metric that have these labels; throws when the metric does not exist. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
  /** Refusals of one side by reason, those that are not zero. */
  refused(side: 'client' | 'backend'): Record<string, number>
  /** Every label name and value on the page, as `name=value`. */
  labels(): Set<string>
  /** The values that matter when a test fails. */
  summary(): string
  readonly text: string
}

/** Reads a page; throws at what a server would refuse. */
export function parseEdgeMetrics(text: string): EdgeMetrics {
  const metrics = parsePrometheusText(text)
  const samples = (name: string) => {
    const metric: ParsedMetric | undefined = metrics.get(name)
    if (metric === undefined) throw new Error(`no metric ${name}`)
    return [...metric.samples.values()]
  }
  const refused = (side: string): Record<string, number> => {
    const ofSide = samples('kitsune_refused_total').filter((s) => s.labels.side === side && s.value > 0)
    return Object.fromEntries(ofSide.map((sample) => [sample.labels.reason, sample.value]))
  }
  return {
    text,
    refused,
    sum(name, labels = {}) {
      const wanted = Object.entries(labels)
      return samples(name)
        .filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value))
        .reduce((sum, sample) => sum + sample.value, 0)
    },
    labels() {
      const all = new Set<string>()
      for (const name of metrics.keys()) {
        for (const { labels } of samples(name)) {
          for (const [label, value] of Object.entries(labels)) all.add(`${label}=${value}`)
        }
      }
      return all
    },
    summary: () =>
      JSON.stringify({
        ...Object.fromEntries(
          [
            'connections',
            'clients',
            'wants_total',
            'wants_outstanding',
            'pending',
            'outbox_bytes',
            'asks_total',
            'asks_moved_total',
            'asks_stalled_total',
            'blocks_sent_total',
          ].map((name) => [name, samples(`kitsune_${name}`).reduce((sum, sample) => sum + sample.value, 0)]),
        ),
        refusedClient: refused('client'),
        refusedBackend: refused('backend'),
      }),
  }
}
