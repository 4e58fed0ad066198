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
  // js-libp2p's own client leaves an aborted WebSocket open, and mplex has no word to say that it is gone: such a
  // client is found when it takes nothing for half a minute, which is too long for this test.
  const muxer = isEven(index) && !(via === 'ws' && how === 'abort') ? 'mplex' : 'yamux'
  const client = await startRawClient(edge[via], { deaf: index % 3 === 0, muxer })
  try {
    await client.send({ wants: bystander.contentWants().slice(0, 40) })
    await client.want(
      Array.from({ length: 50 }, (_, i) => seededCid(index, i, 64)),
      { have: isEven(index), sendDontHave: index % 4 < 2 },
    )
    ;(await client.open()).send(Uint8Array.of(200, 200))
    if (index % 3 !== 0) await client.until(({ blocks }) => blocks.size > 3)
    if (how === 'abort') client.connection.abort(new Error('gone'))
  } finally {
    await client.stop()
  }
}

const isEven = (index: number): boolean => index % 2 === 0

describe('after its last connection', () => {
  test.each([
    ['tcp', 'close'],
    ['tcp', 'abort'],
    ['ws', 'close'],
    ['ws', 'abort'],
  ] as const)(
    'nothing is held of clients over %s that %s',
    async (via, how) => {
      await Promise.all(Array.from({ length: 12 }, (_, i) => visit(i, via, how)))
      await edge.untilMetrics(empty, 15_000)
    },
    60_000,
  )

  test('two connections of one peer: the session ends with the last', async () => {
    const first = await startRawClient(edge.tcp)
    const { privateKey } = (first.node as unknown as { components: { privateKey: never } }).components
    const second = await startRawClient(edge.ws, { privateKey })
    await first.want([seededCid(40, 1, 64)])
    await edge.untilMetrics(
      (m) => m.sum('kitsune_connections') === 2 && m.sum('kitsune_wants_outstanding') === 1,
    )
    expect((await edge.metrics()).sum('kitsune_clients')).toBe(1)
    await second.stop()
    await edge.untilMetrics((m) => m.sum('kitsune_connections') === 1)
    expect((await edge.metrics()).sum('kitsune_wants_outstanding')).toBe(1)
    await first.stop()
    await edge.untilMetrics(empty)
  }, 30_000)

  test('many visits later no more is open than before', async () => {
    const round = async (): Promise<EdgeMetrics> => {
      for (let batch = 0; batch < 4; batch++) {
        await Promise.all(Array.from({ length: 10 }, (_, i) => visit(i, isEven(i) ? 'tcp' : 'ws', 'close')))
      }
      return edge.untilMetrics(empty, 15_000)
    }
    const before = await round()
    const after = await round()
    const grown = (name: string, labels = {}): number => after.sum(name, labels) - before.sum(name, labels)
    const residentBytes = grown('kitsune_process_memory_bytes', { kind: 'resident' })
    console.log(`resident after 40 more visits: ${Math.round(residentBytes / 1e6)} MB more`)
    expect(grown('kitsune_process_open_files')).toBeLessThanOrEqual(2)
    expect(after.sum('kitsune_wants_total') - before.sum('kitsune_wants_total')).toBe(40 * 90)
  }, 120_000)
})
