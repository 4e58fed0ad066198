import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { missingAt } from '#test/support/backend-holdings.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { seededTree, treeOver } from '#test/support/dag.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { expectPersisted } from '#test/support/honest-caller.ts'
import { installJsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { startRawBrowser } from '#test/support/raw-browser.ts'
import { callRefs, refs } from '#test/support/refs-call.ts'

/**
 * A backend that is lost in the middle of a refs, in every way: while the client is there another one takes over, and
 * the caller sees one answer without a line twice.
 */
const keep = keepUntilAfterEach()
const from = '127.0.0.2'
let seeds = 40_000

const haveGo = requirePeer('go')
const haveJsIpfs = requirePeer('js-ipfs')

describe.skipIf(!haveGo)('a backend that is lost in the middle of a refs', () => {
  let backends: GoServe[] = []
  let edge: EdgeProcess

  beforeAll(async () => {
    await Promise.all([goBinary(), ensureBinary()])
  }, 300_000)

  const startPool = async (env: Record<string, string> = {}): Promise<void> => {
    backends = [keep(await startGoServe()), keep(await startGoServe())]
    edge = keep(
      await startEdgeProcess({
        from: 'binary',
        backends: backends.map(({ rpc }) => rpc),
        env: { KITSUNE_CACHE: '0', KITSUNE_PRELOAD_WAIT: '5s', ...env },
      }),
    )
    await edge.untilReady()
  }
  afterEach(() => {
    backends = []
  })

  /** The one that has taken something in already. */
  const busy = async (): Promise<GoServe> => {
    const stats = await Promise.all(backends.map((backend) => backend.stats()))
    const index = stats.findIndex(({ blocksReceived }) => blocksReceived > 0)
    return backends[index] as GoServe
  }

  test.each(['killed', 'stopped'] as const)(
    '(%s) is replaced, and the stream goes on without a line twice',
    async (how) => {
      await startPool()
      const dag = seededTree(seeds++, 120, 4_000)
      const client = keep(
        await startRawBrowser(edge.tcp, {
          localAddress: from,
          manner: 'js-ipfs',
          blocks: dag.blocks,
          delayMs: 40,
        }),
      )
      const call = callRefs({ web: edge.web, arg: `${dag.root}`, from })
      await client.until(({ handedOut }) => handedOut.size > 20)
      const victim = await busy()
      await (how === 'killed' ? victim.kill() : victim.stop())
      const answer = await call.answer
      const survivor = backends.find((backend) => backend !== victim) as GoServe
      await expectPersisted(dag, answer, [survivor.rpc])
      expect(answer.refs).toEqual(dag.blocks.slice(0, -1).map(({ cid }) => `${cid}`))
      expect((await edge.metrics()).sum('kitsune_preload_trouble_total', { kind: 'lost' })).toBe(1)
      await edge.untilMetrics(preloadIsIdle)
    },
    60_000,
  )

  test('is replaced after lines went out as well: they are not repeated', async () => {
    await startPool()
    // Two levels, so that lines go out long before the end.
    const branches = Array.from({ length: 12 }, () => seededTree(seeds++, 12, 3_000))
    const dag = treeOver(branches)
    const client = keep(
      await startRawBrowser(edge.tcp, { localAddress: from, blocks: dag.blocks, delayMs: 60 }),
    )
    const call = callRefs({ web: edge.web, arg: `${dag.root}`, from })
    await call.lines(20, 30_000)
    const victim = await busy()
    await victim.kill()
    const answer = await call.answer
    expect(answer).toMatchObject({ status: 200, ending: 'whole', error: undefined })
    const expected = branches.flatMap(({ root, blocks: under }) => [
      root,
      ...under.slice(0, -1).map(({ cid }) => cid),
    ])
    expect(answer.refs).toEqual(expected.map(String))
    const survivor = backends.find((backend) => backend !== victim) as GoServe
    await expectPersisted(dag, answer, [survivor.rpc])
    expect(client.connection.status).toBe('open')
  }, 60_000)

  test('and there is no other: the answer ends in an error, and the next call works once it is back', async () => {
    await startPool()
    await backends[1]?.stop()
    await edge.untilMetrics((m) => m.sum('kitsune_backend_state', { state: 'ready' }) === 1)
    const dag = seededTree(seeds++, 60, 4_000)
    // A leaf is missing, so that it cannot end before it is cut off.
    const blocks = dag.blocks.slice(1)
    const client = keep(await startRawBrowser(edge.tcp, { localAddress: from, blocks }))
    const call = callRefs({ web: edge.web, arg: `${dag.root}`, from })
    await edge.untilMetrics((m) => m.sum('kitsune_blocks_pulled_total') > 10)
    await backends[0]?.kill()
    const answer = await call.answer
    client.add(dag.blocks.slice(0, 1))
    expect(answer.ending).toBe('whole')
    if (answer.status === 200) expect(answer.error).toMatch(/./)
    else expect(answer.status).toBeGreaterThanOrEqual(500)
    const back = keep(await (backends[0] as GoServe).restart())
    await edge.untilReady(1)
    await expectPersisted(dag, await refs({ web: edge.web, arg: `${dag.root}`, from }), [back.rpc])
  }, 60_000)

  test('and comes back in time: the answer goes on where it was', async () => {
    await startPool()
    await backends[1]?.stop()
    await edge.untilMetrics((m) => m.sum('kitsune_backend_state', { state: 'ready' }) === 1)
    const branches = Array.from({ length: 12 }, () => seededTree(seeds++, 12, 3_000))
    const dag = treeOver(branches)
    keep(await startRawBrowser(edge.tcp, { localAddress: from, blocks: dag.blocks, delayMs: 30 }))
    const call = callRefs({ web: edge.web, arg: `${dag.root}`, from })
    await call.lines(20, 30_000)
    await backends[0]?.kill()
    const back = keep(await (backends[0] as GoServe).restart())
    const answer = await call.answer
    expect(answer.refs).toHaveLength(12 + 144)
    await expectPersisted(dag, answer, [back.rpc])
  }, 60_000)

  test('KITSUNE_REPLICAS=2: both have it in the end, and the caller waits for the first only', async () => {
    await startPool({ KITSUNE_REPLICAS: '2' })
    const dag = seededTree(seeds++, 40, 20_000)
    const client = keep(
      await startRawBrowser(edge.tcp, { localAddress: from, manner: 'js-ipfs', blocks: dag.blocks }),
    )
    const answer = await refs({ web: edge.web, arg: `${dag.root}`, from })
    await client.stop()
    await edge.untilMetrics((m) => m.sum('kitsune_copies_total', { outcome: 'made' }) === 1)
    const [first, second] = backends as [GoServe, GoServe]
    await expectPersisted(dag, answer, [first.rpc])
    await expectPersisted(dag, answer, [second.rpc])
    await edge.untilMetrics(preloadIsIdle)
  }, 30_000)

  test.skipIf(!haveJsIpfs)(
    'while js-ipfs preloads 20 MiB: it goes on, the other backend has it all',
    async () => {
      await installJsIpfs()
      await startPool()
      const preload = [`/ip4/127.0.0.1/tcp/${new URL(edge.web).port}/http`]
      const node = keep(await startJsIpfs({ bootstrap: [edge.ws], preload, autoDialMs: 1_000 }))
      const { cid } = await node.add({ bytes: 20 * 1024 * 1024, seed: seeds++ })
      await edge.untilMetrics((m) => m.sum('kitsune_block_pulled_bytes_total') > 2 * 1024 * 1024, 30_000)
      const victim = await busy()
      await victim.kill()
      expect(await node.preloaded(cid, 60_000)).toMatchObject({ ok: true, status: 200, lines: 80 })
      await node.kill()
      const survivor = backends.find((backend) => backend !== victim) as GoServe
      const listed = await refs({ web: survivor.rpc, arg: cid })
      expect(await missingAt(survivor.rpc, [cid, ...listed.refs])).toEqual([])
      expect(listed.refs).toHaveLength(80)
    },
    120_000,
  )
})
