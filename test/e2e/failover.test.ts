import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoLoadOptions, startGoLoad } from '#test/support/go-load.ts'
import { type GoServe, type GoServeOptions, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'

/** Contract 6 end to end: a lost backend closes no client connection and loses no want. */
const content = { blocks: 2_400, blockBytes: 16 * 1024, blockSeed: 21, delayMs: 10 }
const load: Omit<GoLoadOptions, 'peer'> = {
  blocks: content.blocks,
  blockBytes: content.blockBytes,
  blockSeed: content.blockSeed,
  clients: 8,
  wants: 16,
  lostAfterMs: 25_000,
}
const flawless = { lost: 0, wrong: 0, unfinished: 0, disconnects: 0, errors: 0 }

describe.skipIf(!requirePeer('go')).each(['source', 'binary'] as const)(
  'failover of an edge from %s',
  (from) => {
    const running: { stop(): Promise<void> }[] = []

    beforeAll(async () => {
      await goBinary()
      if (from === 'binary') await ensureBinary()
    }, 300_000)
    afterEach(async () => {
      await Promise.all(running.splice(0).map((each) => each.stop()))
    })

    const serve = async (options: GoServeOptions = content): Promise<GoServe> => {
      const backend = await startGoServe(options)
      running.push(backend)
      return backend
    }
    const revive = async (backend: GoServe): Promise<GoServe> => {
      const revived = await backend.restart()
      running.push(revived)
      return revived
    }
    const edgeOf = async (backends: readonly string[], ready = backends.length): Promise<EdgeProcess> => {
      const edge = await startEdgeProcess({ from, backends, env: { KITSUNE_CACHE: '0' } })
      running.push(edge)
      await edge.untilReady(ready)
      return edge
    }
    const startLoad = async (edge: EdgeProcess, more: Partial<GoLoadOptions> = {}) => {
      const run = await startGoLoad({ peer: edge.tcp, ...load, ...more })
      running.push(run)
      return run
    }

    test('a backend is killed and comes back, twice, while both have the content', async () => {
      const backends = [await serve(), await serve()]
      const edge = await edgeOf(backends.map(({ rpc }) => rpc))
      const run = await startLoad(edge)
      for (const victim of [0, 1]) {
        await run.reached((victim + 1) * 400, 20_000)
        await backends[victim]!.kill()
        await edge.untilMetrics(
          (m) => m.sum('kitsune_backend_lanes_up', { backend: backends[victim]!.rpc }) === 0,
        )
        backends[victim] = await revive(backends[victim]!)
        await edge.untilReady()
      }
      expect(await run.result(60_000)).toMatchObject({ ...flawless, blocks: content.blocks })
      expect((await edge.metrics()).sum('kitsune_asks_moved_total')).toBeGreaterThan(0)
    }, 90_000)

    test.each([
      ['what only the killed backend has is answered after its return', {}],
      [
        'clients that ask to be told are not told DONT_HAVE for what a restarting backend has',
        { sendDontHave: true },
      ],
    ] as const)(
      '%s',
      async (_, manner) => {
        const only = await serve()
        const other = await serve({ blocks: 1, blockSeed: 22 })
        const edge = await edgeOf([only.rpc, other.rpc])
        const run = await startLoad(edge, manner)
        await run.reached(400, 20_000)
        await only.kill()
        await edge.untilMetrics(
          (m) => m.sum('kitsune_backend_state', { backend: only.rpc, state: 'ready' }) === 0,
        )
        await revive(only)
        expect(await run.result(60_000)).toMatchObject({ ...flawless, blocks: content.blocks, dontHave: 0 })
      },
      90_000,
    )

    test('a stopped backend is passed over, and used again when it goes on', async () => {
      const stopped = await serve()
      const other = await serve()
      const edge = await edgeOf([stopped.rpc, other.rpc])
      const run = await startLoad(edge)
      await run.reached(400, 20_000)
      process.kill(stopped.process.pid, 'SIGSTOP')
      try {
        expect(await run.result(60_000)).toMatchObject({ ...flawless, blocks: content.blocks })
      } finally {
        process.kill(stopped.process.pid, 'SIGCONT')
      }
      await edge.untilReady()
    }, 90_000)

    test('a backend that is down at the start is a warning, and joins when it comes', async () => {
      const late = await serve({ ...content, delayMs: 0 })
      await late.kill()
      const edge = await edgeOf([late.rpc], 0)
      const down = await edge.readiness()
      expect(down).toMatchObject({
        status: 503,
        ready: false,
        draining: false,
        reason: 'no backend is ready',
      })
      expect(down.backends[0]?.reason).toMatch(/./)
      const run = await startLoad(edge)
      await revive(late)
      expect(await run.result(60_000)).toMatchObject({ ...flawless, blocks: content.blocks })
      expect(await edge.readiness()).toMatchObject({ status: 200, ready: true })
    }, 60_000)

    test('a backend that comes back as another peer is learned again', async () => {
      const before = await serve({ ...content, delayMs: 0 })
      const edge = await edgeOf([before.rpc])
      const rpcPort = Number(new URL(before.rpc).port)
      await before.kill()
      await edge.untilMetrics((m) => m.sum('kitsune_backend_lanes_up') === 0)
      const after = await serve({ ...content, delayMs: 0, rpcPort })
      expect(after.peerId).not.toBe(before.peerId)
      await edge.untilReady()
      const run = await startLoad(edge)
      expect(await run.result(60_000)).toMatchObject({ ...flawless, blocks: content.blocks })
      const { backends } = (await (await fetch(`${edge.admin}/backends`)).json()) as {
        backends: { peerId: string }[]
      }
      expect(backends.map(({ peerId }) => peerId)).toEqual([after.peerId])
    }, 60_000)
  },
)
