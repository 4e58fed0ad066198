import { expect, test } from 'bun:test'
import { estimateQuantile } from '#src/telemetry/quantile.ts'
import { Histogram } from '#src/util/histogram.ts'

function observed(...values: number[]): Histogram {
  const histogram = new Histogram([10, 20, 40])
  for (const value of values) histogram.observe(value)
  return histogram
}

test('nothing observed is undefined', () => {
  expect(estimateQuantile(observed(), 0.5)).toBeUndefined()
})

test('is linear inside a bucket', () => {
  expect(estimateQuantile(observed(5, 15, 15, 35), 0.5)).toBe(15)
  expect(estimateQuantile(observed(5, 15, 15, 35), 0.25)).toBe(10)
  expect(estimateQuantile(observed(5, 15, 15, 35), 1)).toBe(40)
  expect(estimateQuantile(observed(35), 0.5)).toBe(30)
})

test('beyond the last bound it is that bound', () => {
  expect(estimateQuantile(observed(5, 1_000, 1_000), 0.99)).toBe(40)
})
