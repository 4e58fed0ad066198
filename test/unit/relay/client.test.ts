import { expect, test } from 'bun:test'
import { Buffers } from '#src/relay/buffers.ts'
import { newClient, wantOf } from '#test/unit/relay/fixture.ts'

test('the most urgent want waits first; among equals, the one that came first', () => {
  const client = newClient()
  const wants = [3, 9, 3, 7].map((priority, n) => wantOf(client, n, { priority }))
  for (const want of wants) client.enqueue(want)
  const order: unknown[] = []
  for (let want = client.nextWaiting(); want !== undefined; want = client.nextWaiting()) {
    order.push(wants.indexOf(want))
    client.dequeue(want)
  }
  expect(order).toEqual([1, 3, 0, 2])
  expect(client.hasWaiting).toBe(false)
})

test('a want that was taken out does not come back by itself, and may be put in again', () => {
  const client = newClient()
  const [first, second] = [wantOf(client, 1), wantOf(client, 2)]
  client.enqueue(first)
  client.enqueue(second)
  client.dequeue(first)
  expect(client.nextWaiting()).toBe(second)
  client.enqueue(first)
  client.enqueue(first)
  expect(client.nextWaiting()).toBe(first)
  client.dequeue(first)
  client.dequeue(second)
  expect([client.hasWaiting, client.nextWaiting()]).toEqual([false, undefined])
})

test('a flood of wants and cancels does not grow it', () => {
  const client = newClient()
  const blocking = wantOf(client, 0, { priority: 100 })
  client.enqueue(blocking)
  const started = process.memoryUsage().heapUsed
  for (let n = 1; n < 300_000; n++) {
    const want = wantOf(client, n)
    client.enqueue(want)
    client.dequeue(want)
  }
  expect(client.nextWaiting()).toBe(blocking)
  Bun.gc(true)
  // 300,000 wants that stayed would be at least 60 MB.
  expect(process.memoryUsage().heapUsed - started).toBeLessThan(20e6)
})

test('what is being looked for is expected to fit the buffer, and given back exactly', () => {
  const buffers = new Buffers(1_000_000, 10_000_000)
  const client = newClient(buffers)
  const wants = [1, 2, 3, 4].map((n) => wantOf(client, n, { have: n === 4 }))
  let active = 0
  for (const want of wants.slice(0, 3)) {
    if (!client.mayActivate()) break
    client.activate(want)
    client.activate(want)
    active++
  }
  expect(active).toBe(3)
  expect(client.mayActivate()).toBe(false)
  const presence = wants[3] as (typeof wants)[0]
  client.activate(presence)
  expect(buffers.reservedBytes).toBe(3 * 256 * 1024)
  presence.block = true
  client.upgraded(presence)
  expect(buffers.reservedBytes).toBe(4 * 256 * 1024)
  // The estimate changes while they are active; what was set aside is what is given back.
  for (let n = 0; n < 50; n++) client.sawBlock(100)
  for (const want of wants) client.deactivate(want)
  for (const want of wants) client.deactivate(want)
  expect([client.active, client.reservedBytes, buffers.reservedBytes]).toEqual([0, 0, 0])
  expect(client.blockBytes).toBe(4 * 1024)
})
