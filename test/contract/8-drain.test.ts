import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, poll, startEdgeProcess } from '#test/support/edge.ts'
import { type GoLoadOptions, startGoLoad } from '#test/support/go-load.ts'
import { goBinary, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'
import { rawPrefix } from '#test/support/raw-message.ts'
import { type RogueBackend, startRogueBackend } from '#test/support/rogue-backend.ts'
import { seededBlock, seededCid } from '#test/support/seeded-content.ts'

/** Contract 8: drain finishes what is pending; no want that was accepted is dropped before its deadline. */
const wanted = seededCid(1, 0, 3_000_000 / 2)
const bytes = seededBlock(1, 0, 3_000_000 / 2)

describe.each(['source', 'binary'] as const)('SIGTERM to an edge from %s', (from) => {
  const running: { stop(): Promise<void> }[] = []
  const keep = <T extends { stop(): Promise<void> }>(each: T): T => {
    running.push(each)
    return each
  }
  let answer: PromiseWithResolvers<void>
  let backend: RogueBackend
  let edge: EdgeProcess
  let client: RawClient

  beforeAll(async () => {
    if (from === 'binary') await ensureBinary()
  }, 180_000)

  /** An edge with one want that its backend sits on until `answer` is resolved. */
  async function pending(env: Record<string, string> = {}): Promise<void> {
    answer = Promise.withResolvers<void>()
    backend = keep(
      await startRogueBackend({
        async answer(wants, to) {
          await answer.promise
          if (wants.some(({ cid, cancel }) => !cancel && cid.equals(wanted))) {
            await to.send({ blocks: [{ prefix: rawPrefix, bytes }] })
          }
        },
      }),
    )
    edge = keep(await startEdgeProcess({ from, backends: [backend.addr], env }))
    await edge.untilReady()
    client = keep(await startRawClient(edge.tcp))
    await client.want([wanted])
    await poll(
      async () => backend.wants.length,
      (count) => count > 0,
      10_000,
    )
  }

  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.stop()))
  })

  test('pending wants finish, nobody new gets in, and it exits with 0', async () => {
    await pending()
    const ended = edge.end('SIGTERM', 20_000)
    const readiness = await poll(edge.readiness, ({ status }) => status === 503, 5_000)
    expect(readiness).toMatchObject({ ready: false, draining: true, reason: 'draining' })
    expect((await fetch(`${edge.admin}/healthz`)).status).toBe(200)
    for (const address of [edge.tcp, edge.ws]) await expect(startRawClient(address)).rejects.toThrow()
    await client.want([seededCid(1, 1, 100)], { sendDontHave: true })
    await edge.untilMetrics((m) => (m.refused('client').draining ?? 0) >= 3)
    expect(client.connection.status).toBe('open')
    answer.resolve()
    await client.until(({ blocks }) => blocks.size === 1)
    expect(client.received.blocks.get(wanted.toString())).toEqual(bytes)
    expect(await ended).toBe(0)
  }, 40_000)

  test('a second signal ends it at once, with 3', async () => {
    await pending()
    process.kill(edge.process.pid, 'SIGTERM')
    await poll(edge.readiness, ({ draining }) => draining, 5_000)
    expect(await edge.end('SIGINT', 3_000)).toBe(3)
  }, 30_000)

  test('KITSUNE_DRAIN is the longest it takes', async () => {
    await pending({ KITSUNE_DRAIN: '1s' })
    const startedMs = performance.now()
    expect(await edge.end('SIGINT', 10_000)).toBe(0)
    expect(performance.now() - startedMs).toBeGreaterThan(900)
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    expect(edge.process.log()).toContain('took too long')
  }, 30_000)

  test('an edge with nothing to do ends at once', async () => {
    await pending()
    await client.send({ wants: [{ cid: wanted.bytes, cancel: true }] })
    await edge.untilMetrics((m) => m.sum('kitsune_wants_outstanding') === 0)
    const startedMs = performance.now()
    expect(await edge.end('SIGTERM')).toBe(0)
    expect(performance.now() - startedMs).toBeLessThan(3_000)
  }, 30_000)

  test.skipIf(!requirePeer('go'))(
    'no block of a load that was accepted is lost',
    async () => {
      await goBinary()
      const content = { blocks: 300, blockBytes: 200_000, blockSeed: 8, delayMs: 20 }
      const served = keep(await startGoServe(content))
      const busy = keep(await startEdgeProcess({ from, backends: [served.rpc] }))
      await busy.untilReady()
      const load: GoLoadOptions = { peer: busy.tcp, ...content, clients: 3, wants: 100, lostAfterMs: 15_000 }
      const run = keep(await startGoLoad(load))
      await run.reached(20, 20_000)
      const ended = busy.end('SIGTERM', 30_000)
      expect(await run.result(40_000)).toMatchObject({ blocks: 300, lost: 0, wrong: 0 })
      expect(await ended).toBe(0)
    },
    60_000,
  )
})
