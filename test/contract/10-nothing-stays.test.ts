import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Bystander, startBystander } from '#test/support/bystander.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import type { EdgeMetrics } from '#test/support/edge-metrics.ts'
import { startRawClient } from '#test/support/raw-client.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 10: no state per client survives its last connection. */
let bystander: Bystander
let edge: EdgeProcess

beforeAll(async () => {
  bystander = await startBystander()
  edge = await startEdgeProcess({
    backends: [bystander.backend.addr],
    env: { KITSUNE_CACHE: '0', KITSUNE_MISS: 'dont-have' },
  })
  await edge.untilReady()
}, 30_000)

afterAll(async () => {
  await bystander?.stop()
  await edge?.stop()
})

const empty = (m: EdgeMetrics): boolean =>
  ['connections', 'clients', 'wants_outstanding', 'pending', 'outbox_bytes', 'backend_outstanding']
    .map((name) => m.sum(`kitsune_${name}`))
    .every((value) => value === 0)

/** One visit that leaves everything half done: wants nobody has, blocks unread, streams open, a message begun. */
async function visit(index: number, via: 'tcp' | 'ws', how: 'close' | 'abort'): Promise<void> {
  const client = await startRawClient(edge[via], { deaf: index % 3 === 0, muxer: index % 2 ? 'yamux' : 'mplex' })
  try {
    await client.send({ wants: bystander.contentWants().slice(0, 40) })
    await client.want(
      Array.from({ length: 50 }, (_, i) => seededCid(index, i, 64)),
      { have: i2(index), sendDontHave: index % 4 < 2 },
    )
    ;(await client.open()).send(Uint8Array.of(200, 200))
    if (index % 3 !== 0) await client.until(({ blocks }) => blocks.size > 3)
    if (how === 'abort') client.connection.abort(new Error('gone'))
  } finally {
    await client.stop()
  }
}

const i2 = (index: number): boolean => index % 2 === 0

describe('after its last connection', () => {
  test.each([
    ['tcp', 'close'],
    ['tcp', 'abort'],
    ['ws', 'close'],
    ['ws', 'abort'],
  ] as const)('nothing is held of clients over %s that %s', async (via, how) => {
    await Promise.all(Array.from({ length: 12 }, (_, i) => visit(i, via, how)))
    await edge.untilMetrics(empty, 15_000)
  }, 60_000)

  test('two connections of one peer: the session ends with the last', async () => {
    const first = await startRawClient(edge.tcp)
    const { privateKey } = (first.node as unknown as { components: { privateKey: never } }).components
    const second = await startRawClient(edge.ws, { privateKey })
    await first.want([seededCid(40, 1, 64)])
    await edge.untilMetrics((m) => m.sum('kitsune_connections') === 2 && m.sum('kitsune_wants_outstanding') === 1)
    expect((await edge.metrics()).sum('kitsune_clients')).toBe(1)
    await second.stop()
    await edge.untilMetrics((m) => m.sum('kitsune_connections') === 1)
    expect((await edge.metrics()).sum('kitsune_wants_outstanding')).toBe(1)
    await first.stop()
    await edge.untilMetrics(empty)
  }, 30_000)

  test('hundreds of visits leave no memory and no files behind', async () => {
    const round = async (): Promise<EdgeMetrics> => {
      for (let batch = 0; batch < 8; batch++) {
        await Promise.all(Array.from({ length: 10 }, (_, i) => visit(i, i2(i) ? 'tcp' : 'ws', 'close')))
      }
      return edge.untilMetrics(empty, 15_000)
    }
    const before = await round()
    const after = await round()
    const grown = (name: string, labels = {}): number => after.sum(name, labels) - before.sum(name, labels)
    const heapBytes = grown('kitsune_process_memory_bytes', { kind: 'heap_used' })
    console.log(`heap after 80 more visits: ${Math.round(heapBytes / 1024)} KiB more`)
    expect(grown('kitsune_process_open_files')).toBeLessThanOrEqual(2)
    // 80 visits whose state stayed (90 wants, streams, a session) would be over 8 MB with their connections.
    expect(heapBytes).toBeLessThan(16e6)
  }, 120_000)
})
