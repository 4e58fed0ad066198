import { expect, test } from 'bun:test'
import type { Ask } from '#src/relay/ask.ts'
import { Gateway, type Reading, type ReadingEnd } from '#src/relay/gateway.ts'
import type { GatewayResult } from '#src/relay/ports.ts'
import { askOf, readyBackend } from '#test/unit/relay/fixture.ts'

/** A gateway whose answers a test gives by hand. */
class Scene {
  readonly gateway = new Gateway((_, done) => {
    this.#done.push(done)
    return () => this.abandoned++
  })
  readonly ends: ReadingEnd['kind'][] = []
  readonly readings: Reading[] = []
  abandoned = 0
  readonly #done: ((result: GatewayResult) => void)[] = []
  readonly #backend = readyBackend()
  #asks = 0

  constructor() {
    this.gateway.maxOpen = 64
  }

  /** Starts a request if it takes one; returns the ask. */
  offer(nowMs: number): Ask | undefined {
    if (!this.gateway.takesNext(nowMs)) return undefined
    const ask = askOf(this.#asks++, this.#backend)
    this.gateway.start(ask, nowMs, (end, reading) => {
      this.ends.push(end.kind)
      this.readings.push(reading)
    })
    return ask
  }

  /** Offers until one is taken. */
  sure(nowMs: number): Ask {
    for (let n = 0; n < 1_000; n++) {
      const ask = this.offer(nowMs)
      if (ask !== undefined) return ask
    }
    throw new Error('it takes none')
  }

  /** Requests that were made and are not answered. */
  get open(): number {
    return this.#done.length
  }

  /** Answers the oldest request that is open. */
  answer(result: GatewayResult): void {
    this.#done.shift()?.(result)
  }

  /** Takes a request, and answers it after `ms`, found. */
  found(nowMs: number, ms: number): void {
    this.sure(nowMs)
    this.answer(found)
    this.gateway.answered(this.readings.at(-1) as Reading, nowMs + ms, true)
  }

  /** How many of so many large blocks it takes. */
  taken(offers: number, nowMs: number): number {
    let taken = 0
    for (let n = 0; n < offers; n++) {
      const ask = this.offer(nowMs)
      if (ask === undefined) continue
      taken++
      ask.abandon?.()
    }
    return taken
  }
}

const found: GatewayResult = { kind: 'found', bytes: new Uint8Array(1) }

function measured(bitswapMs: number): Scene {
  const scene = new Scene()
  for (let n = 0; n < 16; n++) scene.gateway.cameByBitswap(bitswapMs)
  return scene
}

test('Bitswap is measured first', () => {
  const scene = new Scene()
  for (let n = 0; n < 3; n++) scene.gateway.cameByBitswap(5)
  expect(scene.taken(300, 0)).toBe(0)
  scene.gateway.cameByBitswap(5)
  expect(scene.taken(300, 0)).toBeGreaterThan(290)
})

test('one request until it has answered, then as many as may be open; others wait in line', () => {
  const scene = measured(5)
  scene.sure(0)
  expect(scene.taken(300, 0)).toBe(0)
  scene.answer(found)
  scene.gateway.answered(scene.readings[0] as Reading, 2, true)
  for (let n = 0; n < 250; n++) scene.offer(3)
  expect(scene.open).toBe(64)
  // The line ends where Bitswap is expected to be as fast: 2 ms × (1 + 96 / 64) is 5.
  expect(scene.gateway.size).toBe(64 + 97)
  scene.answer(found)
  scene.gateway.answered(scene.readings.at(-1) as Reading, 5, true)
  expect([scene.open, scene.gateway.size]).toEqual([64, 64 + 96])
})

test('the road that is slower on average gets samples only', () => {
  const faster = measured(5)
  for (let n = 0; n < 16; n++) faster.found(0, 4)
  expect(faster.taken(1_280, 0)).toBe(1_270)
  for (let n = 0; n < 100; n++) faster.gateway.cameByBitswap(3)
  expect(faster.taken(1_280, 0)).toBe(10)
  for (let n = 0; n < 32; n++) faster.found(0, 1)
  expect(faster.taken(1_280, 0)).toBe(1_270)
})

test('what is not there costs what Bitswap takes afterwards', () => {
  const scene = measured(5)
  for (let n = 0; n < 16; n++) scene.found(0, 4)
  for (let n = 0; n < 16; n++) {
    scene.sure(0)
    scene.answer({ kind: 'absent' })
    scene.gateway.answered(scene.readings.at(-1) as Reading, 1, false)
  }
  expect(scene.taken(1_280, 0)).toBe(10)
})

test('patience is a few times what is usual, within limits', () => {
  for (const [bitswapMs, patienceMs] of [
    [1, 100],
    [50, 200],
    [5_000, 1_500],
  ] as const) {
    const scene = measured(bitswapMs)
    scene.sure(0)
    scene.gateway.tick(patienceMs - 1, false)
    expect(scene.ends).toEqual([])
    scene.gateway.tick(patienceMs, false)
    expect([scene.ends, scene.abandoned, scene.gateway.size]).toEqual([['timeout'], 1, 0])
  }
})

test('a lost backend ends all requests, however young', () => {
  const scene = measured(5)
  scene.found(0, 1)
  for (let n = 0; n < 66; n++) scene.sure(1)
  scene.gateway.tick(1, true)
  expect(scene.ends).toEqual(['found', ...Array(66).fill('unasked')])
})

test('nobody stays in line when it is given up', () => {
  const scene = measured(5)
  scene.found(0, 1)
  for (let n = 0; n < 1_000; n++) scene.offer(0)
  const waiting = scene.gateway.size - 64
  expect(waiting).toBeGreaterThan(100)
  scene.answer({ kind: 'failed', fault: 'refused', reason: '' })
  expect(scene.gateway.failed(scene.readings.at(-1) as Reading, 99, true)).toBe(true)
  expect(scene.gateway.size).toBe(63)
  expect(scene.ends.slice(2)).toEqual(Array(waiting).fill('unasked'))
  scene.gateway.tick(1_600, false)
  expect(scene.ends.slice(2 + waiting)).toEqual(Array(63).fill('timeout'))
})

test('an ask that is abandoned hears nothing more, and leaves its place', () => {
  const scene = measured(5)
  const ask = scene.sure(0)
  ask.abandon?.()
  expect([scene.abandoned, scene.gateway.size, ask.abandon]).toEqual([1, 0, undefined])
  scene.gateway.tick(10_000, false)
  expect(scene.ends).toEqual([])
})

test('after a failure on trial it is left alone for a while, then tried with one request', () => {
  const scene = measured(5)
  scene.sure(0)
  scene.answer({ kind: 'failed', fault: 'unreachable', reason: 'refused' })
  expect(scene.gateway.failed(scene.readings[0] as Reading, 0, false)).toBe(true)
  expect(scene.taken(1_280, 999)).toBe(0)
  for (let n = 0; n < 1_280; n++) scene.offer(1_000)
  expect(scene.gateway.size).toBe(1)
  scene.answer(found)
  expect(scene.gateway.answered(scene.readings[1] as Reading, 1_001, true)).toBe(true)
  expect(scene.taken(1_280, 1_001)).toBe(1_270)
})
