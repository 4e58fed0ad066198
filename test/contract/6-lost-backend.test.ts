import { describe, expect, test } from 'bun:test'
import { poll, startEdgeProcess } from '#test/support/edge.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { startRawClient } from '#test/support/raw-client.ts'
import { rawPrefix } from '#test/support/raw-message.ts'
import { startRogueBackend } from '#test/support/rogue-backend.ts'
import { seededBlock, seededCid } from '#test/support/seeded-content.ts'

/** Contract 6: a lost backend closes no client connection and loses no want. test/e2e/failover.test.ts does it at scale. */
const keep = keepUntilAfterEach()

const cids = Array.from({ length: 50 }, (_, i) => seededCid(3, i, 1_000 + i))
const bytesOf = new Map(cids.map((cid, i) => [cid.toString(), seededBlock(3, i, 1_000 + i)]))

/** A backend that has everything but sits on every other want. */
const halfhearted = () =>
  startRogueBackend({
    async answer(wants, answer) {
      for (const { cid, cancel } of wants) {
        const bytes = bytesOf.get(cid.toString())
        if (!cancel && bytes && bytes.length % 2 === 0) {
          await answer.send({ blocks: [{ prefix: rawPrefix, bytes }] })
        }
      }
    },
  })

const whole = () =>
  startRogueBackend({
    async answer(wants, answer) {
      for (const { cid, cancel, have } of wants) {
        const bytes = bytesOf.get(cid.toString())
        if (cancel || bytes === undefined) continue
        await answer.send(have ? { haves: [cid.bytes] } : { blocks: [{ prefix: rawPrefix, bytes }] })
      }
    },
  })

describe('a lost backend', () => {
  test.each(['abort', 'stop'] as const)(
    '(%s) in the middle of wants: they move',
    async (how) => {
      const first = keep(await halfhearted())
      const second = keep(await whole())
      const edge = keep(await startEdgeProcess({ backends: [first.addr, second.addr] }))
      await edge.untilReady()
      const client = keep(await startRawClient(edge.tcp))
      let closed = false
      client.connection.addEventListener('close', () => {
        closed = true
      })
      await client.want(cids, { sendDontHave: true })
      await poll(
        async () => first.wants.length,
        (count) => count > 5,
        10_000,
      )
      if (how === 'stop') await first.stop()
      else for (const connection of first.node.getConnections()) connection.abort(new Error('gone'))
      await client.until(({ blocks }) => blocks.size === cids.length, 15_000)
      for (const [cid, bytes] of bytesOf) expect(client.received.blocks.get(cid)).toEqual(bytes)
      expect(client.received.dontHaves.size).toBe(0)
      expect(closed).toBe(false)
    },
    30_000,
  )

  test('only backend: wants wait for its return', async () => {
    const first = await halfhearted()
    const edge = keep(await startEdgeProcess({ backends: [first.addr] }))
    await edge.untilReady()
    const client = keep(await startRawClient(edge.tcp))
    await client.want(cids, { sendDontHave: true })
    await client.until(({ blocks }) => blocks.size >= cids.length / 2)
    await first.stop()
    await edge.untilMetrics((m) => m.sum('kitsune_backend_lanes_up') === 0)
    const listenPort = Number(/\/tcp\/(\d+)/.exec(first.addr)?.[1])
    const back = await startRogueBackend({
      listenPort,
      privateKey: (first.node as unknown as { components: { privateKey: never } }).components.privateKey,
      async answer(wants, answer) {
        for (const { cid, cancel } of wants) {
          const bytes = bytesOf.get(cid.toString())
          if (!cancel && bytes) await answer.send({ blocks: [{ prefix: rawPrefix, bytes }] })
        }
      },
    })
    keep(back)
    await client.until(({ blocks }) => blocks.size === cids.length, 15_000)
    expect(client.received.dontHaves.size).toBe(0)
    expect(client.connection.status).toBe('open')
  }, 40_000)
})
