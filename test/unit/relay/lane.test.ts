import { expect, test } from 'bun:test'
import type { Lane } from '#src/relay/lane.ts'
import { askOf, readyBackend, take } from '#test/unit/relay/fixture.ts'

const backend = readyBackend('a', 1)

function newLane(): Lane {
  return readyBackend('a', 1).lanes[0] as Lane
}

test('asks go out in order, once', () => {
  const lane = newLane()
  lane.ask(askOf(1, backend), 0)
  lane.ask(askOf(2, backend, { kind: 'have' }), 0)
  expect(take(lane)).toEqual(['want-block 1', 'want-have 2'])
  expect(take(lane)).toBeUndefined()
  expect(lane.outstanding).toBe(2)
})

test('at most a window of them, and another for each that ends', () => {
  const lane = newLane()
  const asks = Array.from({ length: 1_000 }, (_, n) => askOf(n, backend))
  for (const ask of asks) lane.ask(ask, 0)
  expect(take(lane)?.length).toBe(512)
  expect(take(lane)?.length).toBe(256)
  expect(take(lane)).toBeUndefined()
  expect(lane.hasRoom).toBe(false)
  lane.settled(asks[0] as never)
  expect(take(lane)).toEqual(['want-block 768'])
  lane.cancel(asks[1] as never)
  expect(take(lane)).toEqual(['cancel 1', 'want-block 769'])
})

test('an ask that was not sent is taken back without a word', () => {
  const lane = newLane()
  const ask = askOf(1, backend)
  lane.ask(ask, 0)
  lane.cancel(ask)
  expect(take(lane)).toBeUndefined()
  expect(lane.outstanding).toBe(0)
})

test('a cancel and a new want of one CID never share a message', () => {
  const lane = newLane()
  const first = askOf(1, backend)
  lane.ask(first, 0)
  take(lane)
  lane.cancel(first)
  lane.ask(askOf(1, backend), 0)
  expect(take(lane)).toEqual(['cancel 1'])
  expect(take(lane)).toEqual(['want-block 1'])
  expect(lane.outstanding).toBe(1)
})

test('what a backend gave before is cancelled before it is asked for again', () => {
  const lane = newLane()
  lane.ask(askOf(1, backend, { again: true }), 0)
  lane.ask(askOf(2, backend), 0)
  expect(take(lane)).toEqual(['cancel 1'])
  expect(take(lane)).toEqual(['want-block 1', 'want-block 2'])
})

test('a want-have that becomes a want-block needs no room and waits behind nothing', () => {
  const lane = newLane()
  const asks = Array.from({ length: 1_000 }, (_, n) => askOf(n, backend, { kind: 'have' }))
  for (const ask of asks) lane.ask(ask, 0)
  take(lane)
  take(lane)
  const known = asks[5] as (typeof asks)[0]
  known.kind = 'block'
  lane.ask(known, 1)
  expect(take(lane)).toEqual(['want-block 5'])
  expect(take(lane)).toBeUndefined()
})

test('an ask that ends while it waits to be sent again leaves nothing behind', () => {
  const lane = newLane()
  const ask = askOf(1, backend, { kind: 'have' })
  lane.ask(ask, 0)
  take(lane)
  ask.kind = 'block'
  lane.ask(ask, 0)
  lane.settled(ask)
  expect(take(lane)).toBeUndefined()
  expect(lane.outstanding).toBe(0)
  expect([...lane.unanswered()]).toEqual([])
})

test('many cancels go in several messages', () => {
  const lane = newLane()
  const asks = Array.from({ length: 768 }, (_, n) => askOf(n, backend))
  for (const ask of asks) lane.ask(ask, 0)
  take(lane)
  take(lane)
  for (const ask of asks) lane.cancel(ask)
  expect(take(lane)?.length).toBe(512)
  expect(take(lane)?.length).toBe(256)
  expect(lane.outstanding).toBe(0)
})

test('a lost lane returns what was under way, but for what was cancelled', () => {
  const lane = newLane()
  const [sent, cancelled, waiting] = [1, 2, 3].map((n) => askOf(n, backend)) as [never, never, never]
  lane.ask(sent, 0)
  lane.ask(cancelled, 0)
  take(lane)
  lane.cancel(cancelled)
  lane.ask(waiting, 0)
  expect(new Set(lane.disconnect())).toEqual(new Set([sent, waiting]))
  expect([lane.up, lane.outstanding]).toEqual([false, 0])
})

test('the oldest unanswered ask comes first', () => {
  const lane = newLane()
  const asks = [1, 2, 3].map((n) => askOf(n, backend, { kind: 'have' }))
  for (const ask of asks) lane.ask(ask, 0)
  take(lane, 10)
  const [first, second, third] = asks as [(typeof asks)[0], (typeof asks)[0], (typeof asks)[0]]
  second.verdict = 'dont-have'
  lane.ask(first, 20)
  expect([...lane.unanswered()]).toEqual([third, first])
})
