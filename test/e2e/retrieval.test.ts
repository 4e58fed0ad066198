import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeForm, type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { startHelia } from '#test/support/helia.ts'
import { installJsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/**
 * The main job, end to end: clients of every kind dial one identity and read what lies on several backends.
 * Backend 1 has file 1, backend 2 has file 2, both have the loose blocks.
 */
const mebibyte = 1024 * 1024
const fileBytes = 32 * mebibyte

const haveGo = requirePeer('go')
const haveJsIpfs = requirePeer('js-ipfs')

interface File {
  readonly root: string
  readonly digest: string
}

interface Pool {
  readonly backends: readonly GoServe[]
  readonly files: readonly File[]
}

let pool: Pool

/** Loose blocks that both backends have: 1,200 of 1 KiB, with their own seed. */
const small = { blocks: 1_200, blockBytes: 1024, blockSeed: 5 }

beforeAll(async () => {
  if (!haveGo) return
  await goBinary()
  const backends = await Promise.all(
    [1, 2].map((fileSeed) => startGoServe({ fileBytes, fileSeed, ...small })),
  )
  const files = backends.map(({ root }, i) => ({ root: root!, digest: seededFileDigest(i + 1, fileBytes) }))
  pool = { backends, files }
}, 300_000)

afterAll(async () => {
  await Promise.all(pool?.backends.map((backend) => backend.stop()) ?? [])
})

const edgeOf = (from: EdgeForm, env: Record<string, string> = {}): Promise<EdgeProcess> =>
  startEdgeProcess({ from, backends: pool.backends.map(({ rpc }) => rpc), env })

/** Wants that came to an end in any way, and those that did not. */
async function expectNothingHeld(edge: EdgeProcess): Promise<void> {
  await edge.untilMetrics((m) => m.sum('kitsune_wants_outstanding') === 0 && m.sum('kitsune_pending') === 0)
}

describe.skipIf(!haveGo).each(['source', 'binary', 'deno'] as const)('an edge from %s', (from) => {
  let edge: EdgeProcess

  beforeAll(async () => {
    if (from === 'binary') await ensureBinary()
    edge = await edgeOf(from)
    await edge.untilReady()
  }, 180_000)
  afterAll(() => edge?.stop())

  test('gives Go and Helia clients both files at once, over tcp and ws', async () => {
    const helia = await startHelia()
    try {
      await helia.connect(from === 'deno' ? edge.tcp : edge.ws)
      const reads = pool.files.flatMap(({ root }, i) => [
        goFetch({ peer: i === 0 ? edge.tcp : edge.ws, cid: root, timeoutMs: 90_000 }),
        helia.cat(root, 90_000),
      ])
      const digests = (await Promise.all(reads)).map(({ sha256 }) => sha256)
      expect(digests).toEqual(pool.files.flatMap(({ digest }) => [digest, digest]))
      await expectNothingHeld(edge)
      const metrics = await edge.metrics()
      for (const { rpc } of pool.backends) {
        expect(metrics.sum('kitsune_backend_blocks_total', { backend: rpc })).toBeGreaterThan(0)
      }
      expect(metrics.refused('client')).toEqual({})
    } finally {
      await helia.stop()
    }
  }, 120_000)

  test('exits cleanly', async () => {
    expect(await edge.end()).toBe(0)
  }, 30_000)
})

describe.skipIf(!haveGo || !haveJsIpfs).each(['source', 'binary'] as const)(
  'js-ipfs 0.18.1 at an edge from %s',
  (from) => {
    let edge: EdgeProcess

    beforeAll(async () => {
      await installJsIpfs()
      edge = await edgeOf(from, { KITSUNE_CACHE: '0' })
      await edge.untilReady()
    }, 300_000)
    afterAll(() => edge?.stop())

    test('two nodes, over tcp and over ws, read both files at once with Helia and Go clients', async () => {
      const nodes = await Promise.all([startJsIpfs(), startJsIpfs(), startHelia()])
      try {
        await Promise.all(nodes.map((node, i) => node.connect(i === 0 ? edge.tcp : edge.ws)))
        const reads = pool.files.flatMap(({ root }, i) => [
          ...nodes.map((node) => node.cat(root, 90_000)),
          goFetch({ peer: i === 0 ? edge.tcp : edge.ws, cid: root, timeoutMs: 90_000 }),
        ])
        const digests = (await Promise.all(reads)).map(({ sha256 }) => sha256)
        expect(digests).toEqual(pool.files.flatMap(({ digest }) => Array(4).fill(digest)))
        await expectNothingHeld(edge)
      } finally {
        await Promise.all(nodes.map((node) => node.stop()))
      }
    }, 180_000)
  },
)
