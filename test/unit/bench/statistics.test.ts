import { expect, test } from 'bun:test'
import { lastPart, median, slope, spread } from '../../../scripts/bench/statistics.ts'

test('the median is the middle value, or between the two of an even number', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})

test('a median leaves what it was given as it was', () => {
  const values = [3, 1, 2]
  median(values)
  expect(values).toEqual([3, 1, 2])
})

test('a spread has both ends', () => {
  expect(spread([2, 8, 3])).toEqual({ median: 3, min: 2, max: 8 })
  expect(spread([]).min).toBeNaN()
})

test('the slope is that of the line that fits best', () => {
  expect(slope([0, 1, 2, 3].map((x) => [x, 7 - 2 * x]))).toBeCloseTo(-2)
  // Two of three points pull it one way, and not all the way.
  expect(
    slope([
      [0, 0],
      [1, 3],
      [2, 3],
    ]),
  ).toBeCloseTo(1.5)
  expect(slope([[1, 5]])).toBe(0)
})

test('the last part is a share of the time, not of the points', () => {
  const points = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10.1].map((x) => [x, x] as const)
  expect(lastPart(points, 0.5).map(([x]) => x)).toEqual([6, 7, 8, 9, 10, 10.1])
  expect(lastPart([], 0.5)).toEqual([])
})
