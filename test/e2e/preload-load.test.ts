import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { listedBy, missingAt } from '#test/support/backend-holdings.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { seededTree } from '#test/support/dag.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { installJsIpfs, type JsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { type RawBrowser, startRawBrowser } from '#test/support/raw-browser.ts'
import { callRefs, type RefsCall } from '#test/support/refs-call.ts'

/**
 * A bad day: several js-ipfs nodes add and preload at once, all behind one address that they share with clients that
 * lie, boast and say nothing; strangers flood the API; a backend dies in the middle. Every preload that was wanted
 * ends well, and what ended well is there.
 */
const nodesAtOnce = 4
const addsPerNode = 8
const sizes = [1, 40_000, 700_000, 2_500_000]

interface Kept {
  readonly cid: string
  readonly sha256: string
  /** Whether the backend that is lost in the middle was still there. */
  readonly before: boolean
}

const available = [requirePeer('go'), requirePeer('js-ipfs')].every(Boolean)

describe.skipIf(!available)('js-ipfs on a bad day', () => {
  let backends: GoServe[] = []
  let edge: EdgeProcess
  const bad: RawBrowser[] = []
  const flood: RefsCall[] = []

  beforeAll(async () => {
    await Promise.all([goBinary(), installJsIpfs(), ensureBinary()])
    backends = await Promise.all([startGoServe(), startGoServe()])
    edge = await startEdgeProcess({
      from: 'binary',
      backends: backends.map(({ rpc }) => rpc),
      env: { KITSUNE_CACHE: '0', KITSUNE_PRELOAD_WAIT: '20s' },
    })
    await edge.untilReady()
  }, 300_000)

  afterAll(async () => {
    for (const call of flood) call.abort()
    await Promise.all(bad.map((each) => each.stop()))
    await edge?.stop()
    await Promise.all(backends.map((backend) => backend.stop()))
  })

  const startNode = (): Promise<JsIpfs> =>
    startJsIpfs({
      bootstrap: [edge.ws],
      preload: [`/ip4/127.0.0.1/tcp/${new URL(edge.web).port}/http`],
      autoDialMs: 1_000,
    })

  test('every preload ends well, and everything is there', async () => {
    const [survivor, victim] = backends as [GoServe, GoServe]
    const nodes = await Promise.all(Array.from({ length: nodesAtOnce }, startNode))
    for (const manner of ['wrong', 'boasts', 'silent', 'denies', 'trickle'] as const) {
      bad.push(await startRawBrowser(edge.tcp, { manner, localAddress: '127.0.0.1' }))
    }
    for (let i = 0; i < 300; i++) {
      const arg = `${seededTree(50_000 + i, 1, 10).root}`
      flood.push(callRefs({ web: edge.web, arg, from: `127.0.2.${i % 30}` }))
    }

    const kept: Kept[] = []
    let done = 0
    let lost: Promise<void> | undefined
    const work = async (node: JsIpfs, index: number): Promise<void> => {
      for (let i = 0; i < addsPerNode; i++) {
        const bytes = sizes[(index + i) % sizes.length]!
        const added = await node.add({
          bytes,
          seed: 60_000 + index * 100 + i,
          cidVersion: i % 2 === 0 ? 0 : 1,
        })
        const before = lost === undefined
        expect(await node.preloaded(added.cid, 60_000)).toMatchObject({ ok: true, status: 200 })
        kept.push({ cid: added.cid, sha256: added.sha256, before: before || lost === undefined })
        if (++done === 10) lost = victim.kill()
      }
      await node.kill()
    }
    await Promise.all(nodes.map(work))
    await lost
    expect(kept.length).toBe(nodesAtOnce * addsPerNode)

    // Whatever was preloaded after the loss is on the one that lives; what was before may have gone with the other.
    const here: Kept[] = []
    for (const each of kept) {
      const isHere = (await missingAt(survivor.rpc, [each.cid])).length === 0
      if (!isHere) {
        expect(each.before).toBe(true)
        continue
      }
      here.push(each)
      expect(await missingAt(survivor.rpc, await listedBy(survivor.rpc, each.cid))).toEqual([])
    }
    expect(here.length).toBeGreaterThanOrEqual(kept.length - 10)

    const reader = await startNode()
    try {
      for (const { cid, sha256 } of here) expect((await reader.cat(cid, 30_000)).sha256).toBe(sha256)
    } finally {
      await reader.stop()
    }
  }, 300_000)

  test('and then it is over: nothing is held', async () => {
    for (const call of flood.splice(0)) call.abort()
    await Promise.all(bad.splice(0).map((each) => each.stop()))
    await edge.untilMetrics((m) => preloadIsIdle(m) && m.sum('kitsune_clients') === 0, 10_000)
  }, 20_000)
})
