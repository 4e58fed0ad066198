import { expect, test } from 'bun:test'
import { CircuitBreaker } from '#src/util/circuit-breaker.ts'

/** One that has proved itself. */
function working(): CircuitBreaker {
  const breaker = new CircuitBreaker()
  breaker.succeeded(breaker.epoch, 0)
  return breaker
}

test('it is on trial until the first success, which is no news', () => {
  const breaker = new CircuitBreaker()
  expect([breaker.onTrial, breaker.isOpen(0)]).toEqual([true, false])
  expect(breaker.succeeded(breaker.epoch, 0)).toBe(false)
  expect(breaker.onTrial).toBe(false)
})

test('three failures in a row open it, a success in between does not count them on', () => {
  const breaker = working()
  const { epoch } = breaker
  expect([1, 2].map((nowMs) => breaker.failed(epoch, nowMs))).toEqual([false, false])
  breaker.succeeded(epoch, 3)
  expect([4, 5, 6].map((nowMs) => breaker.failed(epoch, nowMs))).toEqual([false, false, true])
  expect([breaker.isOpen(1_005), breaker.isOpen(1_006), breaker.onTrial]).toEqual([true, false, true])
})

test('one bad failure is enough', () => {
  const breaker = working()
  expect(breaker.failed(breaker.epoch, 0, true)).toBe(true)
  expect(breaker.isOpen(0)).toBe(true)
})

test('what began before it was given up changes nothing', () => {
  const breaker = working()
  const { epoch } = breaker
  breaker.failed(epoch, 0, true)
  expect([breaker.failed(epoch, 500), breaker.succeeded(epoch, 500)]).toEqual([false, false])
  expect([breaker.isOpen(999), breaker.isOpen(1_000), breaker.onTrial]).toEqual([true, false, true])
})

test('each failed trial doubles the wait up to a minute; only the first one and the return are news', () => {
  const breaker = working()
  const waitsMs: number[] = []
  let nowMs = 0
  for (let n = 0; n < 9; n++) {
    expect(breaker.failed(breaker.epoch, nowMs, true)).toBe(n === 0)
    const fromMs = nowMs
    while (breaker.isOpen(nowMs)) nowMs += 1_000
    waitsMs.push(nowMs - fromMs)
  }
  expect(waitsMs.map((ms) => ms / 1_000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
  expect(breaker.succeeded(breaker.epoch, nowMs)).toBe(true)
  expect(breaker.succeeded(breaker.epoch, nowMs)).toBe(false)
})

test('the wait is forgiven once it has worked for as long, not before', () => {
  const breaker = working()
  breaker.failed(breaker.epoch, 0, true)
  breaker.succeeded(breaker.epoch, 1_000)
  breaker.failed(breaker.epoch, 1_500, true)
  expect([breaker.isOpen(3_499), breaker.isOpen(3_500)]).toEqual([true, false])
  breaker.succeeded(breaker.epoch, 4_000)
  breaker.succeeded(breaker.epoch, 6_001)
  breaker.failed(breaker.epoch, 6_002, true)
  expect([breaker.isOpen(7_001), breaker.isOpen(7_002)]).toEqual([true, false])
})
