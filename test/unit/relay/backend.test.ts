import { expect, test } from 'bun:test'
import { askOf, CountingLink, multihash, readyBackend } from '#test/unit/relay/fixture.ts'

test('a block keeps to its lane while that is up and has room', () => {
  const backend = readyBackend('a', 4)
  const own = backend.laneFor(multihash(7))
  expect(own).toBe(backend.lanes[3] as never)
  expect(backend.laneFor(multihash(7))).toBe(own as never)
  own?.disconnect()
  const other = backend.laneFor(multihash(7))
  expect(other).not.toBe(own as never)
  own?.connect(new CountingLink())
  expect(backend.laneFor(multihash(7))).toBe(own as never)
})

test('a full lane sends a block to the emptiest', () => {
  const backend = readyBackend('a', 2)
  const own = backend.laneFor(multihash(2))
  for (let n = 0; n < 768; n++) own?.ask(askOf(n, backend), 0)
  expect(own?.hasRoom).toBe(false)
  expect(backend.laneFor(multihash(2))).not.toBe(own as never)
  expect(backend.hasRoom).toBe(true)
})

test('without a lane nothing is placed', () => {
  const backend = readyBackend('a', 1)
  backend.lanes[0]?.disconnect()
  expect(backend.place(askOf(1, backend), 0)).toBe(false)
  expect([backend.up, backend.hasRoom]).toEqual([false, false])
})
