import { expect, test } from 'bun:test'
import { Buffers } from '#src/relay/buffers.ts'
import type { Pull } from '#src/relay/preload/pull.ts'
import { Supplier } from '#src/relay/preload/supplier.ts'
import { decodeWire, unframeWire } from '#test/support/wire.ts'
import { CountingLink, readyBackend } from '#test/unit/relay/fixture.ts'
import { pullOf } from '#test/unit/relay/preload/preload-fixture.ts'

const backend = readyBackend()
const mebibyte = 1024 * 1024

function begin() {
  const supplies = new Buffers(64 * mebibyte, 64 * mebibyte)
  const link = new CountingLink()
  return { supplies, link, supplier: new Supplier(link, supplies) }
}

function pulls(count: number, from = 0): Pull[] {
  return Array.from({ length: count }, (_, n) => pullOf(from + n, backend))
}

/** What the next message says, each entry as `block 3`, `have 3` or `cancel 3`. */
function take(supplier: Supplier): string[] {
  const frame = supplier.take()
  if (frame === undefined) return []
  return decodeWire(unframeWire(frame)[0] as Uint8Array).entries.map(({ cid, cancel, have }) => {
    const n = new DataView(cid.buffer, cid.byteOffset).getUint32(2)
    return cancel ? `cancel ${n}` : have ? `have ${n}` : `block ${n}`
  })
}

test('asks go out in order, once, and ask to be told what is not there', () => {
  const { supplier, link } = begin()
  const [one, two] = pulls(2) as [Pull, Pull]
  supplier.ask(one, 'block', 0)
  supplier.ask(two, 'have', 0)
  expect(link.wakes).toBe(2)
  const frame = supplier.take()
  const [message] = unframeWire(frame as Uint8Array).map(decodeWire)
  expect(message?.entries.map((entry) => entry.sendDontHave)).toEqual([true, true])
  expect(message?.full).toBe(false)
  expect(take(supplier)).toEqual([])
})

test('what was not sent is taken back without a word, what was sent with a cancel', () => {
  const { supplier } = begin()
  const [one, two] = pulls(2) as [Pull, Pull]
  const sent = supplier.ask(one, 'block', 0)
  take(supplier)
  supplier.cancel(supplier.ask(two, 'block', 0))
  supplier.cancel(sent)
  expect(take(supplier)).toEqual(['cancel 0'])
  expect([supplier.asks.size, one.asks.size, supplier.open]).toEqual([0, 0, 0])
})

test('a want asked again before its cancel was sent is still cancelled in the end', () => {
  const { supplier } = begin()
  const [pull] = pulls(1) as [Pull]
  const first = supplier.ask(pull, 'block', 0)
  take(supplier)
  supplier.cancel(first)
  const second = supplier.ask(pull, 'block', 10)
  supplier.cancel(second)
  expect(take(supplier)).toEqual(['cancel 0'])
})

test('who has it is asked for it, and what came is not asked for again', () => {
  const { supplier } = begin()
  const [pull] = pulls(1) as [Pull]
  supplier.answered(supplier.ask(pull, 'have', 0), 'have')
  expect(take(supplier)).toEqual(['have 0'])
  supplier.delivered(supplier.ask(pull, 'block', 10), 100)
  expect(take(supplier)).toEqual([])
  expect(supplier.wasAsked(pull.multihash)).toBe(true)
})

test('many asks and cancels go in several messages', () => {
  const { supplier } = begin()
  const asks = pulls(700).map((pull) => supplier.ask(pull, 'have', 0))
  expect([take(supplier).length, take(supplier).length]).toEqual([512, 188])
  for (const ask of asks) supplier.cancel(ask)
  expect([take(supplier).length, take(supplier).length, take(supplier).length]).toEqual([512, 188, 0])
})

test('it owes at most a window of bytes, as far as blocks are as large as the last ones', () => {
  const { supplier, supplies } = begin()
  let asked = 0
  for (const pull of pulls(1_000)) {
    if (!supplier.hasRoom) break
    supplier.ask(pull, 'block', 0)
    asked++
  }
  expect([asked, supplies.reservedBytes]).toEqual([32, 8 * mebibyte])
  for (const { pull } of [...supplier.asks.values()]) {
    supplier.delivered(pull.asks.get(supplier) as never, 1_000)
  }
  expect([supplier.open, supplies.reservedBytes]).toEqual([0, 0])
})

test('it owes at most so many small blocks', () => {
  const { supplier } = begin()
  for (const pull of pulls(100)) supplier.delivered(supplier.ask(pull, 'block', 0), 10)
  let asked = 0
  for (const pull of pulls(1_000, 100)) {
    if (!supplier.hasRoom) break
    supplier.ask(pull, 'block', 0)
    asked++
  }
  expect(asked).toBe(256)
})

test('of the largest blocks it may owe four all the same', () => {
  const { supplier } = begin()
  for (const pull of pulls(100)) supplier.delivered(supplier.ask(pull, 'block', 0), 4 * mebibyte)
  for (const pull of pulls(4, 100)) {
    expect(supplier.hasRoom).toBe(true)
    supplier.ask(pull, 'block', 0)
  }
  expect(supplier.hasRoom).toBe(false)
})

test('who is slow but alive is asked for more, who is silent for hardly any', () => {
  const { supplier, supplies } = begin()
  for (const pull of pulls(100)) supplier.delivered(supplier.ask(pull, 'block', 0), 10)
  const asks = pulls(256, 100).map((pull) => supplier.ask(pull, 'block', 0))
  expect(supplier.hasRoom).toBe(false)
  for (const ask of asks) supplier.tooSlow(ask)
  expect([supplier.open, supplies.reservedBytes]).toEqual([0, 0])
  for (const pull of pulls(4, 1_000)) supplier.ask(pull, 'block', 0)
  expect(supplier.hasRoom).toBe(false)
  supplier.heard(1_000)
  expect([supplier.hasRoom, supplier.heardMs]).toEqual([true, 1_000])
})

test('a flood of asks stops at what clients keep, and those in vain make place', () => {
  const { supplier } = begin()
  const asks = pulls(768).map((pull) => supplier.ask(pull, 'have', 0))
  expect([supplier.hasPlace, supplier.hasRoom, supplier.makePlace()]).toEqual([false, false, undefined])
  supplier.answered(asks[5] as never, 'dont-have')
  supplier.tooSlow(asks[3] as never)
  expect(supplier.hasPlace).toBe(true)
  while (take(supplier).length > 0);
  expect(supplier.makePlace()).toBe(asks[5]?.pull as Pull)
  expect(take(supplier)).toEqual(['cancel 5'])
  expect([supplier.asks.size, supplier.makePlace()]).toEqual([767, undefined])
  supplier.ask(pullOf(5_000, backend), 'have', 0)
  expect(supplier.makePlace()).toBe(asks[3]?.pull as Pull)
  expect(supplier.asks.size).toBe(767)
})

test('what turned out to be there after all is not in vain', () => {
  const { supplier } = begin()
  const asks = pulls(768).map((pull) => supplier.ask(pull, 'have', 0))
  supplier.tooSlow(asks[0] as never)
  supplier.answered(asks[0] as never, 'have')
  expect(supplier.hasPlace).toBe(false)
})

test('after some lies it is not used any more', () => {
  const { supplier } = begin()
  supplier.lies = 7
  expect(supplier.usable).toBe(true)
  supplier.lies++
  expect(supplier.usable).toBe(false)
})

test('when it leaves everything goes, and its pulls are returned', () => {
  const { supplier, supplies } = begin()
  const [asked, waiting] = pulls(2) as [Pull, Pull]
  supplier.ask(asked, 'block', 0)
  supplier.line.add(waiting)
  waiting.standsAt = supplier
  expect(supplier.leave()).toEqual([asked, waiting])
  expect([asked.asks.size, supplies.reservedBytes]).toEqual([0, 0])
  expect(waiting.standsAt).toBeUndefined()
  expect([supplier.asks.size, supplier.line.size, supplier.open, supplier.usable]).toEqual([0, 0, 0, false])
  expect(take(supplier)).toEqual([])
})
