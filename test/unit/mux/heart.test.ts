import { expect, spyOn, test } from 'bun:test'
import { type Beat, Heart } from '#src/mux/heart.ts'

interface Fake extends Beat {
  heardMs: number
  pings: number
  readonly dropped: number[]
}

function fake(heardMs = 0): Fake {
  return {
    heardMs,
    pings: 0,
    dropped: [],
    ping() {
      this.pings++
    },
    dropSilent(sinceMs) {
      this.dropped.push(sinceMs)
    },
  }
}

/** Thirty seconds of a heart. */
function round(heart: Heart, fromMs: number): void {
  for (let tick = 1; tick <= 30; tick++) heart.tick(fromMs + tick * 1_000)
}

test('each connection is looked at once in thirty ticks, and few of them in one', () => {
  const heart = new Heart()
  const beats = Array.from({ length: 300 }, () => fake())
  for (const beat of beats) heart.join(beat)
  let most = 0
  for (let tick = 1; tick <= 30; tick++) {
    const before = beats.filter(({ dropped }) => dropped.length > 0).length
    heart.tick(tick * 1_000)
    most = Math.max(most, beats.filter(({ dropped }) => dropped.length > 0).length - before)
  }
  expect(beats.every(({ dropped }) => dropped.length === 1)).toBe(true)
  expect(most).toBe(10)
  for (const beat of beats) heart.leave(beat)
})

test('who was not heard for twenty seconds is pinged, who was is not', () => {
  const heart = new Heart()
  const quiet = fake(0)
  const heard = fake(0)
  heart.join(quiet)
  heart.join(heard)
  quiet.heardMs = 40_999
  heard.heardMs = 41_000
  // The one is looked at first of all, the other last.
  round(heart, 60_000)
  expect([quiet.pings, heard.pings]).toEqual([1, 0])
  heard.heardMs = 0
  round(heart, 90_000)
  expect([quiet.pings, heard.pings]).toEqual([2, 1])
  heart.leave(quiet)
  heart.leave(heard)
})

test('streams have ten seconds to say what they are for', () => {
  const heart = new Heart()
  const beat = fake()
  heart.join(beat)
  round(heart, 100_000)
  const [sinceMs] = beat.dropped
  expect(sinceMs).toBeGreaterThan(90_000)
  expect(sinceMs).toBeLessThanOrEqual(120_000)
  heart.leave(beat)
})

test('a connection that left is not looked at, also when it leaves within the tick', () => {
  const heart = new Heart()
  const beats = Array.from({ length: 31 }, () => fake())
  for (const beat of beats) heart.join(beat)
  const [first, last] = [beats[0] as Fake, beats[30] as Fake]
  first.dropSilent = () => heart.leave(last)
  heart.leave(beats[5] as Fake)
  round(heart, 0)
  expect(last.dropped).toEqual([])
  expect(beats[5]?.dropped).toEqual([])
  expect(beats[7]?.dropped).toHaveLength(1)
  for (const beat of beats) heart.leave(beat)
})

test('there is one timer while there is a connection, and none after', () => {
  const started = spyOn(globalThis, 'setInterval')
  const stopped = spyOn(globalThis, 'clearInterval')
  try {
    const heart = new Heart()
    const beats = [fake(), fake(), fake()]
    for (const beat of beats) heart.join(beat)
    expect(started).toHaveBeenCalledTimes(1)
    const timer = started.mock.results[0]?.value as ReturnType<typeof setInterval>
    expect(timer.hasRef()).toBe(false)
    heart.leave(beats[0] as Fake)
    heart.leave(beats[1] as Fake)
    expect(stopped).toHaveBeenCalledTimes(0)
    heart.leave(beats[2] as Fake)
    heart.leave(beats[2] as Fake)
    expect(stopped.mock.calls[0]?.[0]).toBe(timer)
    heart.join(fake())
    expect(started).toHaveBeenCalledTimes(2)
    clearInterval(started.mock.results[1]?.value as ReturnType<typeof setInterval>)
  } finally {
    started.mockRestore()
    stopped.mockRestore()
  }
})
