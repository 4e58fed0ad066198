import { byKey, counter, type FieldMetric, gauge } from '#src/telemetry/field-metric.ts'
import type { MetricsDeps } from '#src/telemetry/metrics.ts'

/** Returns the metrics of the doors: who came by which, which are open, and the certificates of the web port. */
export function doorMetrics({ connections, doors, certificates }: MetricsDeps): FieldMetric[] {
  return [
    gauge(
      'kitsune_connections',
      'Client connections open now, by transport. A rise is more clients, or clients that do not let go.',
      () => byKey('transport', connections()),
    ),
    gauge(
      'kitsune_door_open',
      '1 for each address that is listened on, 0 for one that is optional and could not be opened: its clients come by other doors, or not at all.',
      () =>
        doors().map(({ address, kind, fault }) => ({
          labels: { address, transport: kind },
          value: fault === undefined ? 1 : 0,
        })),
    ),
    gauge(
      'kitsune_tls_certificate_not_after_seconds',
      'When the certificate in use for a name ends, since 1970. Less than two weeks away: nothing renews it, and clients turn away when it is over.',
      () => {
        // Equal series would be refused with the whole page: of two for one name the first is served.
        const first = new Map<string, number>()
        for (const { name, notAfterMs } of certificates?.status ?? [])
          if (!first.has(name)) first.set(name, notAfterMs / 1_000)
        return byKey('name', Object.fromEntries(first))
      },
    ),
    counter(
      'kitsune_tls_reloads_total',
      'Changes of the certificate files by outcome. refused: what is there now does not fit together or is expired, and the old certificate stays until it ends.',
      () => byKey('outcome', certificates?.reloads ?? {}),
    ),
  ]
}
