import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { goLoad, startGoLoad } from '#test/support/go-load.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { installJsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { startProcess } from '#test/support/process.ts'
import { seededBlock, seededCid, seededFileDigest } from '#test/support/seeded-content.ts'

const fileBytes = 4 * 1024 * 1024
const blocks = 400
const blockBytes = 4099 // no multiple of 4: the last word is cut

const haveGo = requirePeer('go')
const haveJsIpfs = requirePeer('js-ipfs')

describe.skipIf(!haveGo)('the Go peer', () => {
  let backend: GoServe

  beforeAll(async () => {
    await goBinary()
    backend = await startGoServe({ fileBytes, fileSeed: 3, blocks, blockBytes, muxers: 'yamux,mplex' })
  }, 300_000)
  afterAll(() => backend?.stop())

  const rpc = (path: string, method = 'POST') => fetch(`${backend.rpc}/api/v0/${path}`, { method })

  test('serves a file that boxo fetches and verifies', async () => {
    const result = await goFetch({ peer: backend.addr, cid: backend.root! })
    expect(result.sha256).toBe(seededFileDigest(3, fileBytes))
    expect(result.blocks).toBe(17)
  })

  test('holds the seeded blocks that anybody can recompute', async () => {
    const answer = await rpc(`block/get?arg=${seededCid(1, 7, blockBytes)}&offline=true`)
    expect(Buffer.from(await answer.arrayBuffer()).equals(seededBlock(1, 7, blockBytes))).toBe(true)
  })

  test('answers a load run without a loss', async () => {
    const result = await goLoad({
      peer: backend.addr,
      clients: 3,
      blocks,
      blockBytes,
      count: blocks,
      shared: true,
    })
    expect(result).toMatchObject({ blocks: 3 * blocks, lost: 0, wrong: 0, errors: 0, disconnects: 0 })
  })

  test('the load generator speaks like js-ipfs, and counts what is missing', async () => {
    const result = await goLoad({
      peer: backend.addr,
      blocks,
      blockBytes,
      stream: 'per-message',
      muxers: 'mplex',
      protocol: '/ipfs/bitswap/1.1.0',
      cancels: 2,
      missing: 5,
      lostAfterMs: 500,
    })
    expect(result).toMatchObject({ blocks, lost: 0, wrong: 0, errors: 0, missingAsked: 5, missingDenied: 0 })
  })

  test('the load generator sees wrong bytes, and the wants they leave open', async () => {
    const liar = await startGoServe({ blocks: 20, blockBytes, corruptEvery: 5 })
    try {
      const result = await goLoad({ peer: liar.addr, blocks: 20, blockBytes, lostAfterMs: 500 })
      expect(result).toMatchObject({ blocks: 16, wrong: 4, lost: 4 })
    } finally {
      await liar.stop()
    }
  })

  test('DONT_HAVE comes for what is missing only', async () => {
    const result = await goLoad({ peer: backend.addr, blocks, blockBytes, missing: 20, sendDontHave: true })
    expect(result).toMatchObject({ blocks, lost: 0, dontHave: 20, missingDenied: 20 })
  })

  test('comes back as the same peer at the same addresses', async () => {
    const first = await startGoServe({ blocks: 10, blockBytes })
    await first.kill()
    const second = await first.restart()
    try {
      expect([second.addr, second.rpc]).toEqual([first.addr, first.rpc])
      const result = await goLoad({ peer: second.addr, blocks: 10, blockBytes })
      expect(result).toMatchObject({ blocks: 10, lost: 0 })
    } finally {
      await second.stop()
    }
  })

  test('a load run notices that its peer vanished', async () => {
    const victim = await startGoServe({ blocks, blockBytes, delayMs: 20 })
    const run = await startGoLoad({
      peer: victim.addr,
      wants: 1,
      blocks,
      blockBytes,
      lostAfterMs: 300,
      seconds: 2,
    })
    try {
      await run.reached(1, 5000)
      await victim.kill()
      expect((await run.result(10_000)).disconnects).toBe(1)
    } finally {
      await run.stop()
      await victim.stop()
    }
  })

  test('answers the RPC in the shape of Kubo', async () => {
    const id = (await (await rpc('id')).json()) as Record<string, unknown>
    expect(id).toMatchObject({ ID: backend.peerId, Addresses: [backend.addr] })
    expect((await rpc('id', 'GET')).status).toBe(405)
    const absent = await rpc(`refs?arg=${seededCid(99, 0, 10)}&recursive=true&timeout=200ms`)
    expect(absent.status).toBe(500)
    expect(await absent.json()).toMatchObject({ Code: 0, Type: 'error' })
  })

  test('refs fetches a DAG from a connected peer, and ends in an Err line when it cannot', async () => {
    const empty = await startGoServe()
    try {
      const own = (path: string) => fetch(`${empty.rpc}/api/v0/${path}`, { method: 'POST' })
      const refs = `refs?arg=${backend.root}&r=true&timeout=2s`
      await own(`swarm/connect?arg=${backend.addr}`)
      await own(`block/get?arg=${backend.root}`)
      await backend.kill()
      const broken = (await (await own(refs)).text()).trim().split('\n')
      expect(JSON.parse(broken.at(-1)!)).toMatchObject({ Ref: '', Err: expect.stringContaining('deadline') })
      backend = await backend.restart()
      await own(`swarm/connect?arg=${backend.addr}`)
      const whole = (await (await own(refs)).text()).trim().split('\n')
      expect(whole.map((line) => JSON.parse(line).Err)).toEqual(new Array(16).fill(''))
      const offline = await own(`block/get?arg=${seededCid(3, 15, 256 * 1024)}&offline=true`)
      expect(offline.status).toBe(200)
    } finally {
      await empty.stop()
    }
  }, 20_000)
})

describe.skipIf(!haveGo || !haveJsIpfs)('the js-ipfs peer', () => {
  beforeAll(installJsIpfs, 300_000)

  test('reads from a Go peer, and preloads to it what it adds', async () => {
    const backend = await startGoServe({ fileBytes, fileSeed: 4, muxers: 'yamux,mplex' })
    const rpcPort = new URL(backend.rpc).port
    const node = await startJsIpfs({ preload: [`/ip4/127.0.0.1/tcp/${rpcPort}/http`] })
    try {
      await node.connect(backend.addr)
      expect((await node.cat(backend.root!)).sha256).toBe(seededFileDigest(4, fileBytes))
      const added = await node.add({ bytes: 600_000, seed: 9 })
      expect(added.sha256).toBe(seededFileDigest(9, 600_000))
      const refs = await fetch(`${backend.rpc}/api/v0/refs?arg=${added.cid}&r=true&timeout=10s`, {
        method: 'POST',
      })
      expect((await refs.text()).trim().split('\n')).toHaveLength(3)
      const last = await fetch(`${backend.rpc}/api/v0/block/get?arg=${added.cid}&offline=true`, {
        method: 'POST',
      })
      expect(last.status).toBe(200)
    } finally {
      await node.stop()
      await backend.stop()
    }
  }, 60_000)
})

describe('a JSON-lines process', () => {
  const script = (code: string, readyTimeoutMs = 5000) =>
    startProcess(process.execPath, ['-e', code], { readyTimeoutMs })

  test('that never gets ready is ended, and its log is told', async () => {
    const started = script('console.error("no luck"); process.exit(3)')
    await expect(started).rejects.toThrow(/ended \(3\)[\s\S]*no luck/)
    await expect(script('setInterval(() => {}, 1000)', 200)).rejects.toThrow('no such line in 200 ms')
  })

  test('that ignores SIGTERM is killed by stop()', async () => {
    const child = await script(
      'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log(`{"event":"ready"}`)',
    )
    await child.stop(100)
    expect(await child.ended).toBe('SIGKILL')
  })
})
