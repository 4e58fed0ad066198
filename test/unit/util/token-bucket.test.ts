import { expect, test } from 'bun:test'
import { TokenBucket } from '#src/util/token-bucket.ts'

test('a bucket gives its burst at once and its rate afterwards', () => {
  const bucket = new TokenBucket(10, 0)
  bucket.take(9, 0)
  expect(bucket.delayMs(0)).toBe(0)
  bucket.take(2, 0)
  expect(bucket.delayMs(0)).toBe(200)
  expect(bucket.delayMs(50)).toBe(150)
  expect(bucket.delayMs(200)).toBe(0)
})

test('a large item passes whole and is paid for afterwards', () => {
  const bucket = new TokenBucket(100, 0)
  bucket.take(1_100, 0)
  expect(bucket.delayMs(0)).toBe(10_010)
  expect(bucket.delayMs(10_010)).toBe(0)
})

test('it fills up to its burst and no further', () => {
  const bucket = new TokenBucket(10, 0, 30)
  bucket.take(30, 1_000_000)
  expect(bucket.delayMs(1_000_000)).toBeGreaterThan(0)
})

test('a clock that stands still or goes back gives nothing', () => {
  const bucket = new TokenBucket(10, 1_000)
  bucket.take(10, 1_000)
  expect(bucket.delayMs(500)).toBe(100)
})

test('an infinite rate never delays', () => {
  const bucket = new TokenBucket(Number.POSITIVE_INFINITY, 0)
  bucket.take(1e12, 0)
  expect(bucket.delayMs(0)).toBe(0)
})
