import { expect, test } from 'bun:test'
import { Histogram } from '#src/util/histogram.ts'

test('an observation counts in the first bucket whose bound it does not exceed', () => {
  const histogram = new Histogram([1, 10, 100])
  for (const value of [0, 1, 1.5, 10, 11, 100, 101, 1e9]) histogram.observe(value)
  expect(histogram.counts).toEqual([2, 2, 2, 2])
  expect(histogram.count).toBe(8)
  expect(histogram.sum).toBe(1e9 + 224.5)
})
