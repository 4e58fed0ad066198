import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import type { EdgeMetrics } from '#test/support/edge-metrics.ts'
import { type FalseAnswer, startFalseGateway } from '#test/support/false-gateway.ts'
import { goLoad } from '#test/support/go-load.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/** The second road, end to end: a compiled edge takes large blocks from the gateways of its backends. */
const fileBytes = 32 * 1024 * 1024
const large = { blocks: 240, blockBytes: 100_000 }
const keep = keepUntilAfterEach()

function outcomes(metrics: EdgeMetrics, ...names: readonly string[]): number {
  return names.reduce((sum, outcome) => sum + metrics.sum('kitsune_gateway_requests_total', { outcome }), 0)
}

const failures = ['timeout', 'unreachable', 'refused', 'wrong-block']

async function edgeBefore(backends: readonly string[]): Promise<EdgeProcess> {
  const edge = keep(await startEdgeProcess({ from: 'binary', backends, env: { KITSUNE_CACHE: '0' } }))
  await edge.untilReady()
  return edge
}

async function expectNothingHeld(edge: EdgeProcess): Promise<void> {
  await edge.untilMetrics((m) => m.sum('kitsune_wants_outstanding') === 0 && m.sum('kitsune_pending') === 0)
}

/** Four clients want all large blocks, each in an order of its own, and get them. */
async function expectAllToFetch(edge: EdgeProcess): Promise<void> {
  const load = { clients: 4, wants: 8, ...large, count: 240, shared: true, shuffle: true }
  expect(await goLoad({ peer: edge.tcp, ...load })).toMatchObject({ blocks: 960, wrong: 0, lost: 0 })
  await expectNothingHeld(edge)
}

describe.skipIf(!requirePeer('go'))('a compiled edge before backends with gateways', () => {
  let backends: GoServe[] = []
  const entries = (): string[] => backends.map(({ rpc, gateway }) => `${rpc};gateway=${gateway}`)

  beforeAll(async () => {
    await Promise.all([goBinary(), ensureBinary()])
    // Each has its file, one half of the large blocks, and all of the small ones' halves.
    backends = await Promise.all(
      [0, 1].map((n) =>
        startGoServe({
          gatewayPort: 0,
          fileBytes,
          fileSeed: n + 1,
          ...large,
          blocks: 120,
          firstBlock: n * 120,
        }),
      ),
    )
  }, 300_000)
  afterAll(() => Promise.all(backends.map((backend) => backend.stop())))

  test('gives clients whole files, most of them by the gateways', async () => {
    const edge = await edgeBefore(entries())
    for (let round = 0; round < 2; round++) {
      const fetched = await Promise.all(
        backends.map(({ root }, n) => goFetch({ peer: n === 0 ? edge.tcp : edge.ws, cid: root ?? '' })),
      )
      expect(fetched.map(({ sha256 }) => sha256)).toEqual(
        [1, 2].map((seed) => seededFileDigest(seed, fileBytes)),
      )
    }
    await expectNothingHeld(edge)
    const metrics = await edge.metrics()
    expect(outcomes(metrics, 'found')).toBeGreaterThan(50)
    expect(metrics.sum('kitsune_gateway_received_bytes_total')).toBeGreaterThan(50 * 256 * 1024)
    expect(outcomes(metrics, ...failures)).toBe(0)
    expect(metrics.refused('backend')).toEqual({})
  }, 120_000)

  test('what a backend lacks is said at once, and comes from the other', async () => {
    const edge = await edgeBefore(entries())
    await expectAllToFetch(edge)
    const metrics = await edge.metrics()
    expect(outcomes(metrics, 'found')).toBeGreaterThan(0)
    expect(outcomes(metrics, 'absent')).toBeGreaterThan(0)
    // Without its header a request would make the gateway look elsewhere, which takes half a minute.
    expect(outcomes(metrics, ...failures)).toBe(0)
  }, 60_000)
})

describe.skipIf(!requirePeer('go'))('a compiled edge', () => {
  test('asks no gateway for small blocks', async () => {
    const small = { blocks: 4_000, blockBytes: 1_024 }
    const backend = keep(await startGoServe({ ...small, gatewayPort: 0 }))
    const edge = await edgeBefore([`${backend.rpc};gateway=${backend.gateway}`])
    const result = await goLoad({ peer: edge.tcp, clients: 4, wants: 64, ...small })
    expect(result).toMatchObject({ blocks: 4_000, lost: 0 })
    expect(outcomes(await edge.metrics(), 'found', 'absent', ...failures)).toBe(0)
  }, 60_000)

  const troubles: readonly (readonly [what: string, outcome: string, answer: FalseAnswer])[] = [
    ['never answers', 'timeout', () => {}],
    [
      'stops in the middle',
      'timeout',
      (response, block) =>
        response.writeHead(200, { 'content-length': block.length }).write(block.subarray(0, 500)),
    ],
    ['hangs up', 'unreachable', (response) => response.socket?.destroy()],
    ['fails', 'refused', (response) => response.writeHead(500).end()],
  ]
  test.each(troubles)(
    'before a gateway that %s loses no want, and says so once',
    async (_, outcome, answer) => {
      const backend = keep(await startGoServe(large))
      const gateway = keep(await startFalseGateway(large, answer))
      const edge = await edgeBefore([`${backend.rpc};gateway=${gateway.url}`])
      await expectAllToFetch(edge)
      expect(outcomes(await edge.metrics(), outcome)).toBeGreaterThan(0)
      expect(gateway.requests).toBeLessThan(20)
      expect(edge.logs.filter(({ msg }) => String(msg).startsWith('Gateway'))).toEqual([
        expect.objectContaining({
          backend: backend.rpc,
          msg: 'Gateway failed, blocks come by Bitswap meanwhile',
        }),
      ])
      expect(await edge.end()).toBe(0)
    },
    60_000,
  )
})
