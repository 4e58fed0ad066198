import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { FrequencySketch } from '#src/util/frequency-sketch.ts'
import { hash32 } from '#src/util/rendezvous.ts'

const hashOf = (n: number) => hash32(String(n))

test('what was counted is known, up to 15, and what was not is not', () => {
  const sketch = new FrequencySketch(1_024)
  for (let times = 0; times < 20; times++) sketch.count(hashOf(1))
  for (let times = 0; times < 3; times++) sketch.count(hashOf(2))
  expect([1, 2, 3].map((n) => sketch.estimate(hashOf(n)))).toEqual([15, 3, 0])
})

test('halving forgets half, of odd counts the larger half', () => {
  const sketch = new FrequencySketch(1_024)
  for (let n = 1; n <= 15; n++) for (let times = 0; times < n; times++) sketch.count(hashOf(n))
  sketch.halve()
  expect(sketch.counted).toBe(60)
  for (let n = 1; n <= 15; n++) expect(sketch.estimate(hashOf(n))).toBe(n >> 1)
})

test('an estimate is never too low, whatever else is counted and in however little space', () => {
  const counts = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 400 })
  fc.assert(
    fc.property(counts, fc.integer({ min: 1, max: 32 }), (list, columns) => {
      const sketch = new FrequencySketch(columns)
      const times = new Map<number, number>()
      for (const n of list) {
        sketch.count(hashOf(n))
        times.set(n, (times.get(n) ?? 0) + 1)
      }
      for (const [n, count] of times)
        expect(sketch.estimate(hashOf(n))).toBeGreaterThanOrEqual(Math.min(count, 15))
    }),
  )
})

test('with as many things as columns nearly all estimates are right', () => {
  const sketch = new FrequencySketch(4_096)
  for (let n = 0; n < 4_096; n++) for (let times = 0; times <= n % 4; times++) sketch.count(hashOf(n))
  let wrong = 0
  for (let n = 0; n < 4_096; n++) if (sketch.estimate(hashOf(n)) !== (n % 4) + 1) wrong++
  expect(wrong).toBeLessThan(4_096 * 0.1)
})

test('a million different things take no more room than one', () => {
  const sketch = new FrequencySketch(1_000)
  const before = sketch.byteLength
  for (let n = 0; n < 1_000_000; n++) sketch.count(Math.imul(n, 0x9e3779b1))
  expect([before, sketch.byteLength]).toEqual([2_048, 2_048])
})
