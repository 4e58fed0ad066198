import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { listedBy, missingAt } from '#test/support/backend-holdings.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { goBinary, startGoServe } from '#test/support/go-peer.ts'
import { installJsIpfs, type JsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { requireKubo, startKubo } from '#test/support/kubo.ts'
import { requirePeer } from '#test/support/peers.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/**
 * The reason for all of it, with the clients of the field: js-ipfs A adds, its preload ends, A is gone for good; B,
 * started later, reads it. All nodes share one address, as behind a NAT, and nothing is cached at the edge.
 */
const mebibyte = 1024 * 1024

const kinds = [
  { name: '1 B, CIDv0', bytes: 1, cidVersion: 0 },
  { name: '1 B, CIDv1', bytes: 1, cidVersion: 1 },
  { name: '512 KiB, CIDv0', bytes: mebibyte / 2, cidVersion: 0 },
  { name: '512 KiB, CIDv1', bytes: mebibyte / 2, cidVersion: 1 },
  { name: '50 MiB, CIDv0', bytes: 50 * mebibyte, cidVersion: 0 },
  { name: '50 MiB, CIDv1', bytes: 50 * mebibyte, cidVersion: 1 },
  { name: '1,000 files, CIDv0', files: 1_000, cidVersion: 0 },
  { name: '1,000 files, CIDv1', files: 1_000, cidVersion: 1 },
] as const
const rounds = 20
/** Rounds under way at once: what two cores do without making everybody wait. */
const atOnce = 2

interface Backend {
  readonly rpc: string
  stop(): Promise<void>
}

interface Added {
  readonly cid: string
  readonly sha256: string
}

const haveJsIpfs = requirePeer('js-ipfs')

const pools = [
  ['Go peers', requirePeer('go') && haveJsIpfs, goBinary, (): Promise<Backend> => startGoServe()],
  ['Kubo', requireKubo() && haveJsIpfs, async () => '', (): Promise<Backend> => startKubo()],
] as const

for (const [name, available, prepare, startBackend] of pools) {
  describe.skipIf(!available)(`js-ipfs 0.18.1 at the executable in front of ${name}`, () => {
    let backends: Backend[] = []
    let edge: EdgeProcess

    beforeAll(async () => {
      await Promise.all([prepare(), installJsIpfs(), ensureBinary()])
      backends = await Promise.all([startBackend(), startBackend()])
      edge = await startEdgeProcess({
        from: 'binary',
        backends: backends.map(({ rpc }) => rpc),
        env: { KITSUNE_CACHE: '0' },
      })
      await edge.untilReady()
    }, 300_000)

    afterAll(async () => {
      await edge?.stop()
      await Promise.all(backends.map((backend) => backend.stop()))
    })

    /** As an app of the field: it knows the edge as bootstrap and preload node, and nobody else. */
    const startNode = (hurry: boolean): Promise<JsIpfs> =>
      startJsIpfs({
        bootstrap: [edge.ws],
        preload: [`/ip4/127.0.0.1/tcp/${new URL(edge.web).port}/http`],
        ...(hurry && { autoDialMs: 1_000 }),
      })

    const add = async (node: JsIpfs, round: number): Promise<Added> => {
      const kind = kinds[round % kinds.length]!
      const { cidVersion } = kind
      const seed = 1_000 * (round + 1)
      if ('files' in kind) {
        return node.addDirectory({ files: kind.files, fileBytes: 400, seed, cidVersion })
      }
      const added = await node.add({ bytes: kind.bytes, seed, cidVersion })
      expect(added.sha256).toBe(seededFileDigest(seed, kind.bytes))
      return added
    }

    const read = async (cid: string, isDirectory: boolean, hurry: boolean): Promise<string> => {
      const node = await startNode(hurry)
      try {
        return (await (isDirectory ? node.catDirectory(cid, 90_000) : node.cat(cid, 90_000))).sha256
      } finally {
        await node.stop()
      }
    }

    /** One round; every fifth pair of nodes dials when the library would, ten seconds after its start. */
    const round = async (index: number): Promise<void> => {
      const hurry = index % 5 !== 0
      const adder = await startNode(hurry)
      let added: Added
      try {
        added = await add(adder, index)
        expect(await adder.preloaded(added.cid, 90_000)).toMatchObject({ ok: true, status: 200 })
      } finally {
        // A page that is closed, and one that says goodbye.
        await (index % 2 === 0 ? adder.kill() : adder.stop())
      }
      expect(await holder(added.cid)).toBeDefined()
      const isDirectory = 'files' in kinds[index % kinds.length]!
      expect(await read(added.cid, isDirectory, hurry)).toBe(added.sha256)
    }

    /** The backend that holds a DAG whole, if there is one. */
    const holder = async (root: string): Promise<Backend | undefined> => {
      for (const backend of backends) {
        if ((await missingAt(backend.rpc, [root])).length > 0) continue
        const all = await listedBy(backend.rpc, root)
        if ((await missingAt(backend.rpc, all)).length === 0) return backend
      }
      return undefined
    }

    test(`${rounds} times out of ${rounds}: what A added outlives A`, async () => {
      const failed: string[] = []
      let next = 0
      const work = async (): Promise<void> => {
        for (let index = next++; index < rounds; index = next++) {
          const startedMs = performance.now()
          const what = `round ${index}, ${kinds[index % kinds.length]!.name}`
          await round(index).catch((error: unknown) => failed.push(`${what}: ${error}`))
          console.log(`${what}: ${Math.round(performance.now() - startedMs)} ms`)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, work))
      expect(failed).toEqual([])
    }, 900_000)

    test('nothing is left of it at the edge', async () => {
      await edge.untilMetrics(
        (m) => preloadIsIdle(m) && m.sum('kitsune_clients') === 0 && m.sum('kitsune_pending') === 0,
      )
      expect(edge.logs.filter(({ level }) => level === 'error')).toEqual([])
    }, 30_000)
  })
}
