import { expect, test } from 'bun:test'
import { ProcessMetrics } from '#src/telemetry/process-metrics.ts'

/** Keeps the event loop from everything else. */
function block(ms: number): void {
  const untilMs = performance.now() + ms
  while (performance.now() < untilMs);
}

/** Resolves when the timer under test has looked again. */
async function nextLook(metrics: ProcessMetrics): Promise<void> {
  const before = metrics.loopLagMs.count
  const deadlineMs = performance.now() + 3_000
  while (metrics.loopLagMs.count === before && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(metrics.loopLagMs.count).toBeGreaterThan(before)
}

test('a blocked event loop shows as lag, and stop ends the looking', async () => {
  const metrics = new ProcessMetrics()
  metrics.start()
  metrics.start()
  await nextLook(metrics)
  const before = metrics.loopLagMs.sum
  block(300)
  await nextLook(metrics)
  expect(metrics.loopLagMs.sum - before).toBeGreaterThan(150)
  metrics.stop()
  metrics.stop()
  const { count } = metrics.loopLagMs
  block(250)
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(metrics.loopLagMs.count).toBe(count)
})
