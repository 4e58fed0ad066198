import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { hollowTree, seededChain, seededTree } from '#test/support/dag.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { installJsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { type Manner, startRawBrowser } from '#test/support/raw-browser.ts'
import { callRefs, refs } from '#test/support/refs-call.ts'

/** What the preload tests are made of, proved without an edge: browsers at a Go peer, and calls to its RPC. */
const keep = keepUntilAfterEach()

const haveGo = requirePeer('go')
const haveJsIpfs = requirePeer('js-ipfs')

let backend: GoServe

beforeAll(async () => {
  if (!haveGo) return
  await goBinary()
  backend = await startGoServe({ muxers: 'yamux,mplex' })
}, 300_000)
afterAll(() => backend?.stop())

const browse = async (manner: Manner, seed: number, blocks = seededTree(seed, 5, 1_000).blocks) =>
  keep(await startRawBrowser(backend.addr, { manner, blocks, localAddress: '127.0.0.4' }))

describe.skipIf(!haveGo)('a raw browser', () => {
  test.each(['honest', 'js-ipfs', 'old-js-ipfs'] as const)(
    'in the manner of %s gives a Go peer a DAG, each block once',
    async (manner) => {
      const seed = manner.length
      const dag = seededTree(seed, 40, 5_000)
      const browser = await browse(manner, seed, dag.blocks)
      const { status, ending, refs: listed } = await refs({ web: backend.rpc, arg: `${dag.root}` })
      expect({ status, ending }).toEqual({ status: 200, ending: 'whole' })
      expect(listed).toEqual(dag.blocks.slice(0, -1).map(({ cid }) => cid.toString()))
      expect(browser.handedOut.size).toBe(dag.blocks.length)
    },
    10_000,
  )

  test.each(['wrong', 'denies', 'silent', 'trickle'] as const)('that %s gives it nothing', async (manner) => {
    const browser = await browse(manner, 50 + manner.length)
    const { root } = seededTree(50 + manner.length, 5, 1_000)
    const answer = await refs({ web: backend.rpc, query: `arg=${root}&r=true&timeout=1500ms` })
    expect(answer).toMatchObject({ status: 500, error: expect.stringContaining('deadline') })
    expect(browser.asked.map(({ cid }) => cid)).toContain(root.toString())
  })
})

describe.skipIf(!haveGo)('a call of refs', () => {
  test('tells each line when it comes, and where the answer broke off', async () => {
    const dag = seededChain(60, 6)
    await browse('honest', 60, dag.blocks.slice(3))
    const call = callRefs({ web: backend.rpc, arg: `${dag.root}`, from: '127.0.0.9' })
    expect(await call.status).toBe(200)
    await call.lines(3)
    expect(call.body.split('\n')).toHaveLength(4)
    await backend.kill()
    expect(await call.answer).toMatchObject({ ending: 'cut', error: undefined, refs: { length: 3 } })
    backend = await backend.restart()
  }, 20_000)

  test('takes chains and trees of any size', async () => {
    const chain = seededChain(61, 60)
    const hollow = hollowTree(61, 3, 1_000)
    await browse('honest', 61, [...chain.blocks, ...hollow.blocks])
    expect((await refs({ web: backend.rpc, arg: `${chain.root}` })).refs).toHaveLength(59)
    const { error, ending } = await refs({ web: backend.rpc, query: `arg=${hollow.root}&r=true&timeout=2s` })
    expect({ error, ending }).toEqual({ error: expect.stringContaining('deadline'), ending: 'whole' })
  }, 20_000)
})

describe.skipIf(!haveGo || !haveJsIpfs)('a js-ipfs node', () => {
  beforeAll(installJsIpfs, 300_000)

  test('comes from where it is told, preloads files and directories, and tells how that ended', async () => {
    const preload = [`/ip4/127.0.0.1/tcp/${new URL(backend.rpc).port}/http`]
    const known = { bootstrap: [backend.addr], preload, autoDialMs: 300, localAddress: '127.0.0.5' }
    const first = keep(await startJsIpfs(known))
    const directory = await first.addDirectory({ files: 30, fileBytes: 700, seed: 70 })
    const file = await first.add({ bytes: 600_000, seed: 71, cidVersion: 0 })
    expect(await first.preloaded(directory.cid)).toMatchObject({ ok: true, status: 200, lines: 30 })
    expect(await first.preloaded(file.cid)).toMatchObject({ ok: true, lines: 3 })
    await first.kill()
    const second = keep(await startJsIpfs({ bootstrap: [backend.addr], autoDialMs: 300 }))
    expect((await second.catDirectory(directory.cid)).sha256).toBe(directory.sha256)
    expect((await second.cat(file.cid)).sha256).toBe(file.sha256)
  }, 60_000)

  test('knows a preload that failed from one that did not', async () => {
    const nobody = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response('{"Ref":"","Err":"no"}\n'),
    })
    const preload = [`/ip4/127.0.0.1/tcp/${nobody.port}/http`]
    try {
      const node = keep(await startJsIpfs({ preload }))
      const { cid } = await node.add({ bytes: 10, seed: 72 })
      expect(await node.preloaded(cid)).toMatchObject({ ok: false, status: 200, error: 'no' })
    } finally {
      await nobody.stop(true)
    }
  }, 60_000)
})
