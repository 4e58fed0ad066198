import { expect, test } from 'bun:test'
import type { Backend } from '#src/relay/backend.ts'
import { Health } from '#src/relay/health.ts'
import { askOf, CountingLink, readyBackend, take } from '#test/unit/relay/fixture.ts'

function observed(): { health: Health; states: string[] } {
  const states: string[] = []
  const observer = {
    backendState: (_name: string, state: string) => states.push(state),
    gatewayState() {},
    preloadTrouble() {},
  }
  return { health: new Health(observer, { silentMs: 5_000, retryMs: 5_000 }), states }
}

function asked(nowMs: number): Backend {
  const backend = readyBackend('a', 1)
  backend.lanes[0]?.ask(askOf(1, backend), nowMs)
  if (backend.lanes[0]) take(backend.lanes[0], nowMs)
  return backend
}

test('a backend is ready as long as a lane is up', () => {
  const { health, states } = observed()
  const backend = readyBackend()
  backend.state = 'connecting'
  expect(health.update(backend, 1)).toBe(true)
  expect(health.update(backend, 2)).toBe(false)
  backend.lanes[0]?.disconnect()
  expect(health.update(backend, 3)).toBe(false)
  expect(backend.lostMs).toBe(3)
  backend.lanes[0]?.connect(new CountingLink())
  expect(health.update(backend, 4)).toBe(true)
  expect(states).toEqual(['ready', 'connecting', 'ready'])
})

test('silence on what it was asked makes it unresponsive; anything heard makes it ready', () => {
  const { health, states } = observed()
  const backend = asked(0)
  health.update(backend, 5_000)
  expect(backend.state).toBe('ready')
  health.update(backend, 5_001)
  expect(backend.state).toBe('unresponsive')
  backend.heardMs = 6_000
  expect(health.update(backend, 6_000)).toBe(true)
  expect(states).toEqual(['unresponsive', 'ready'])
})

test('a backend that says anything at all is slow, not silent', () => {
  const { health } = observed()
  const backend = asked(0)
  for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) {
    if (nowMs % 4_000 === 0) backend.heardMs = nowMs
    health.update(backend, nowMs)
    expect(backend.state).toBe('ready')
  }
})

test('a backend that was asked nothing may be silent', () => {
  const { health } = observed()
  const backend = readyBackend()
  health.update(backend, 1e9)
  expect(backend.state).toBe('ready')
})

test('a silent backend is tried again, and counts as lost since it fell silent first', () => {
  const { health, states } = observed()
  const backend = asked(0)
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 50) health.update(backend, nowMs)
  expect(states.length).toBeGreaterThan(6)
  expect(backend.lostMs).toBe(5_050)
  backend.heardMs = 60_001
  health.update(backend, 60_001)
  for (let nowMs = 60_050; nowMs <= 70_000; nowMs += 50) health.update(backend, nowMs)
  expect(backend.lostMs).toBeGreaterThan(60_000)
})
