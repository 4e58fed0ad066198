import { expect, test } from 'bun:test'
import { MovingAverage } from '#src/util/moving-average.ts'

test('it is the mean of the first values, and follows the latest ones', () => {
  const average = new MovingAverage(4)
  expect(average).toMatchObject({ count: 0, value: 0 })
  for (const value of [10, 20, 30]) average.observe(value)
  expect(average).toMatchObject({ count: 3, value: 20 })
  for (let n = 0; n < 40; n++) average.observe(100)
  expect(average.count).toBe(4)
  expect(average.value).toBeCloseTo(100, 1)
  average.observe(0)
  expect(average.value).toBeCloseTo(75, 1)
  average.forget()
  average.observe(7)
  expect(average).toMatchObject({ count: 1, value: 7 })
})
