import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { missingAt } from '#test/support/backend-holdings.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { cborBlock, type Dag, hollowTree, pbBlock, rawBlock, seededTree } from '#test/support/dag.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { expectPersisted, type HonestCaller, startHonestCaller } from '#test/support/honest-caller.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { type Manner, type RawBrowser, startRawBrowser } from '#test/support/raw-browser.ts'
import { callRefs, refs } from '#test/support/refs-call.ts'
import { seededBlock } from '#test/support/seeded-content.ts'

/**
 * Clients that harm each other, at the executable in front of real Bitswap backends: what is honest is persisted, what
 * is not costs nobody else anything, and nothing is asked of those whom it does not concern.
 */
const keep = keepUntilAfterEach()
const office = '127.0.0.2'
const elsewhere = '127.0.0.3'

let backends: GoServe[] = []
let rpcs: string[] = []
let edge: EdgeProcess
let honest: HonestCaller
let seeds = 30_000

describe.skipIf(!requirePeer('go'))('preload under abuse', () => {
  beforeAll(async () => {
    await Promise.all([goBinary(), ensureBinary()])
    backends = await Promise.all([startGoServe(), startGoServe()])
    rpcs = backends.map(({ rpc }) => rpc)
    edge = await startEdgeProcess({
      from: 'binary',
      backends: rpcs,
      env: { KITSUNE_CACHE: '0', KITSUNE_PRELOAD_WAIT: '5s' },
    })
    await edge.untilReady()
    honest = await startHonestCaller(edge, rpcs)
  }, 300_000)

  afterEach(async () => {
    await honest.persists(2)
    await edge.untilMetrics(preloadIsIdle, 10_000)
  }, 20_000)

  afterAll(async () => {
    await honest?.stop()
    await edge?.stop()
    await Promise.all(backends.map((backend) => backend.stop()))
  })

  const aDag = (leaves = 12, bytes = 5_000): Dag => seededTree(seeds++, leaves, bytes)

  const browse = async (
    localAddress: string,
    manner: Manner,
    blocks: Dag['blocks'] = [],
    delayMs?: number,
  ): Promise<RawBrowser> =>
    keep(
      await startRawBrowser(edge.tcp, {
        localAddress,
        manner,
        blocks,
        ...(delayMs !== undefined && { delayMs }),
      }),
    )

  const preload = (dag: Dag, from: string) => refs({ web: edge.web, arg: `${dag.root}`, from })

  const heldAnywhere = async (dag: Dag): Promise<number> => {
    const cids = dag.blocks.map(({ cid }) => `${cid}`)
    const missing = await Promise.all(rpcs.map((rpc) => missingAt(rpc, cids)))
    return Math.max(...missing.map(({ length }) => cids.length - length))
  }

  describe('one client among others at its address', () => {
    test.each(['wrong', 'denies', 'boasts', 'silent', 'trickle'] as const)(
      'that is %s does not keep an honest one from being persisted',
      async (manner) => {
        for (const first of ['liar', 'honest']) {
          const dag = aDag()
          if (first === 'honest') await browse(office, 'js-ipfs', dag.blocks)
          const bad = await Promise.all([1, 2].map(() => browse(office, manner, dag.blocks)))
          if (first === 'liar') await browse(office, 'js-ipfs', dag.blocks)
          const answer = await preload(dag, office)
          await expectPersisted(dag, answer, rpcs)
          expect(answer.ms).toBeLessThan(15_000)
          await Promise.all(bad.map((each) => each.stop()))
        }
      },
      60_000,
    )

    test('that is alone and lies brings nothing to a backend, and is counted', async () => {
      const dag = aDag()
      const before = (await edge.metrics()).refused('client')['wrong-block'] ?? 0
      await browse(office, 'wrong', dag.blocks)
      const answer = await preload(dag, office)
      expect(answer.status).toBeGreaterThanOrEqual(500)
      expect(await heldAnywhere(dag)).toBe(0)
      const after = (await edge.metrics()).refused('client')['wrong-block'] ?? 0
      expect(after - before).toBeGreaterThan(0)
    }, 30_000)

    test.each(['boasts', 'silent', 'trickle'] as const)(
      'that is alone and %s ends in an error in time',
      async (manner) => {
        const dag = aDag()
        await browse(office, manner, dag.blocks)
        const answer = await preload(dag, office)
        expect(answer.status).toBeGreaterThanOrEqual(500)
        expect(answer.ms).toBeLessThan(10_000)
      },
      30_000,
    )

    test('among many: no block is fetched twice from those who tell what they have', async () => {
      const dag = aDag(30)
      const crowd = await Promise.all(
        Array.from({ length: 12 }, (_, i) => browse(office, 'honest', i % 2 === 0 ? dag.blocks : [])),
      )
      await expectPersisted(dag, await preload(dag, office), rpcs)
      const given = crowd.flatMap(({ handedOut }) => [...handedOut.values()])
      const total = given.reduce((sum, times) => sum + times, 0)
      expect(total).toBeLessThanOrEqual(Math.ceil(dag.blocks.length * 1.1))
    }, 30_000)
  })

  describe('somebody elsewhere', () => {
    test('who grants the same root is asked for it too, and harms nobody', async () => {
      for (const manner of ['silent', 'wrong', 'denies'] as const) {
        const dag = aDag()
        await browse(elsewhere, manner, dag.blocks)
        const theirs = callRefs({ web: edge.web, arg: `${dag.root}`, from: elsewhere })
        await browse(office, 'honest', dag.blocks)
        const answer = await preload(dag, office)
        await expectPersisted(dag, answer, rpcs)
        expect(await theirs.answer).toMatchObject({ status: 200, error: undefined, refs: answer.refs })
      }
    }, 60_000)

    test('who grants the same root and goes away does not end it', async () => {
      const dag = aDag(20)
      const theirs = callRefs({ web: edge.web, arg: `${dag.root}`, from: elsewhere })
      await edge.untilMetrics((m) => m.sum('kitsune_refs_under_way') === 1)
      const ours = callRefs({ web: edge.web, arg: `${dag.root}`, from: office })
      await edge.untilMetrics((m) => m.sum('kitsune_refs_under_way') === 2)
      theirs.abort()
      await edge.untilMetrics((m) => m.sum('kitsune_refs_under_way') === 1)
      await browse(office, 'js-ipfs', dag.blocks, 30)
      await expectPersisted(dag, await ours.answer, rpcs)
    }, 30_000)

    test('hears nothing of what is granted here, nor of what backends want for themselves', async () => {
      const dag = aDag()
      const own = rawBlock(seededBlock(seeds++, 1, 3_000))
      const spy = await browse(elsewhere, 'honest', [...dag.blocks, own])
      await browse(office, 'honest', dag.blocks)
      await expectPersisted(dag, await preload(dag, office), rpcs)
      const forItself = await fetch(`${rpcs[0]}/api/v0/block/get?arg=${own.cid}&timeout=1500ms`, {
        method: 'POST',
      })
      expect(forItself.status).toBe(500)
      await forItself.arrayBuffer()
      await spy.ask({ cid: seededTree(seeds++, 1, 5).root.bytes, have: true, sendDontHave: true })
      expect(spy.asked).toEqual([])
    }, 30_000)

    test('who names somebody else in X-Forwarded-For is still himself', async () => {
      const dag = aDag()
      const victim = await browse(office, 'honest', dag.blocks)
      const answer = await refs({
        web: edge.web,
        arg: `${dag.root}`,
        from: elsewhere,
        headers: { 'x-forwarded-for': office, forwarded: `for=${office}` },
      })
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(victim.asked).toEqual([])
      expect(await heldAnywhere(dag)).toBe(0)
    }, 30_000)
  })

  describe('content that is not whole', () => {
    test('is a failure after what there was, and never 2xx to its end', async () => {
      const dag = hollowTree(seeds++, 3, 5)
      await browse(office, 'js-ipfs', dag.blocks)
      const answer = await preload(dag, office)
      expect(answer.ending).toBe('whole')
      if (answer.status === 200) expect(answer.error).toMatch(/./)
      else expect(answer.status).toBeGreaterThanOrEqual(500)
      expect(answer.ms).toBeLessThan(10_000)
    }, 30_000)

    test('may come later: the client adds the rest while it is waited for', async () => {
      const dag = aDag(8)
      const client = await browse(office, 'honest', dag.blocks.slice(4))
      const call = callRefs({ web: edge.web, arg: `${dag.root}`, from: office })
      await client.until(({ handedOut }) => handedOut.size >= 5)
      client.add(dag.blocks)
      await expectPersisted(dag, await call.answer, rpcs)
    }, 30_000)

    test('comes from whoever comes later: refs first, the connection after it', async () => {
      const dag = aDag()
      const call = callRefs({ web: edge.web, arg: `${dag.root}`, from: office })
      await edge.untilMetrics((m) => m.sum('kitsune_grants') === 1)
      const idle = await browse(office, 'honest')
      await idle.until(({ asked }) => asked.length > 0)
      const late = await browse(office, 'js-ipfs', dag.blocks)
      await expectPersisted(dag, await call.answer, rpcs)
      expect(late.handedOut.size).toBe(dag.blocks.length)
    }, 30_000)

    test('comes in two parts, over a connection that broke in between', async () => {
      const dag = aDag(30)
      const first = await browse(office, 'js-ipfs', dag.blocks.slice(15), 20)
      const call = callRefs({ web: edge.web, arg: `${dag.root}`, from: office })
      await first.until(({ handedOut }) => handedOut.size >= 8)
      first.vanish()
      const second = await browse(office, 'js-ipfs', dag.blocks)
      await expectPersisted(dag, await call.answer, rpcs)
      expect(second.handedOut.size).toBeGreaterThan(0)
    }, 30_000)
  })

  test('two pages that added the same, as CIDv0 and as CIDv1, at once: neither waits for the other', async () => {
    const dag = aDag()
    const forms = [dag.root.toV0(), dag.root, CID.createV1(0x55, dag.root.multihash)]
    const calls = forms.map((cid) => callRefs({ web: edge.web, arg: `${cid}`, from: office }))
    await edge.untilMetrics((m) => m.sum('kitsune_grants') === forms.length)
    await browse(office, 'js-ipfs', dag.blocks)
    const [v0, v1, raw] = await Promise.all(calls.map(({ answer }) => answer))
    for (const answer of [v0!, v1!]) await expectPersisted(dag, answer, rpcs)
    expect(raw).toMatchObject({ status: 200, error: undefined, refs: [] })
    for (const { ms } of [v0!, v1!, raw!]) expect(ms).toBeLessThan(5_000)
  }, 30_000)

  test('links of dag-cbor, and those of a block that is itself inside a link, are followed like any other', async () => {
    const tree = aDag()
    const within = CID.createV1(0x70, identity.digest(pbBlock([tree.root]).bytes))
    const root = cborBlock([within])
    const dag = { root: root.cid, blocks: [...tree.blocks, root] }
    await browse(office, 'js-ipfs', dag.blocks)
    await expectPersisted(dag, await preload(dag, office), rpcs)
  }, 30_000)

  test('a client over IPv6 is known by its network, in both of its connections', async () => {
    const other = keep(
      await startEdgeProcess({
        from: 'binary',
        backends: rpcs,
        env: { KITSUNE_LISTEN: '/ip6/::1/tcp/0,/ip6/::1/tcp/0/ws', KITSUNE_PRELOAD_WAIT: '3s' },
      }),
    )
    await other.untilReady()
    const dag = aDag()
    keep(await startRawBrowser(other.tcp, { blocks: dag.blocks }))
    const { port } = new URL(other.web)
    await expectPersisted(dag, await refs({ web: `http://[::1]:${port}`, arg: `${dag.root}` }), rpcs)
  }, 30_000)

  test('forty pages behind one address, each with its own content, at once', async () => {
    const pages = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const dag = aDag(4, 2_000)
        const manner = (['honest', 'js-ipfs', 'old-js-ipfs'] as const)[i % 3]!
        return { dag, browser: await browse(office, manner, dag.blocks) }
      }),
    )
    const answers = await Promise.all(pages.map(({ dag }) => preload(dag, office)))
    for (const [i, { dag }] of pages.entries()) await expectPersisted(dag, answers[i]!, rpcs)
    const handedOut = pages.flatMap(({ browser }) => [...browser.handedOut.values()])
    expect(handedOut.reduce((sum, times) => sum + times, 0)).toBeLessThanOrEqual(40 * 5 * 1.2)
  }, 60_000)
})
