/** When nothing of preload is left at an edge, as its metrics tell. */
import type { EdgeMetrics } from '#test/support/edge-metrics.ts'

const gauges = ['refs_under_way', 'grants', 'granted_blocks', 'pulls', 'supply_bytes']

/** Whether no refs is under way and nothing is held for one. */
export function preloadIsIdle(metrics: EdgeMetrics): boolean {
  return gauges.every((name) => metrics.sum(`kitsune_${name}`) === 0)
}
