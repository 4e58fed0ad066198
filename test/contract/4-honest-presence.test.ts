import { describe, expect, test } from 'bun:test'
import type { CID } from 'multiformats/cid'
import { type EdgeProcess, poll, startEdgeProcess } from '#test/support/edge.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'
import { rawPrefix } from '#test/support/raw-message.ts'
import { type RogueBackend, startRogueBackend } from '#test/support/rogue-backend.ts'
import { seededBlock, seededCid } from '#test/support/seeded-content.ts'

/** Contract 4: HAVE only if it is there, DONT_HAVE only if asked for and everyone was asked. */
const keep = keepUntilAfterEach()

/** A backend with some blocks that answers presences honestly, each wantlist after `hold`. */
async function honest(
  sizesBytes: readonly number[],
  hold: Promise<void> = Promise.resolve(),
): Promise<RogueBackend> {
  const blocks = new Map(
    sizesBytes.map((size) => [seededCid(1, size, size).toString(), seededBlock(1, size, size)]),
  )
  return keep(
    await startRogueBackend({
      async answer(wants, answer) {
        await hold
        for (const { cid, have, cancel } of wants) {
          const bytes = blocks.get(cid.toString())
          if (cancel) continue
          if (bytes === undefined) await answer.send({ dontHaves: [cid.bytes] })
          else if (have) await answer.send({ haves: [cid.bytes] })
          else await answer.send({ blocks: [{ prefix: rawPrefix, bytes }] })
        }
      },
    }),
  )
}

async function setUp(backends: readonly RogueBackend[]): Promise<{ edge: EdgeProcess; client: RawClient }> {
  const edge = keep(
    await startEdgeProcess({
      backends: backends.map(({ addr }) => addr),
      env: { KITSUNE_MISS: 'dont-have' },
    }),
  )
  await edge.untilReady()
  return { edge, client: keep(await startRawClient(edge.tcp)) }
}

const ofSize = (size: number): CID => seededCid(1, size, size)

describe('presence is honest', () => {
  test('HAVE for what a backend has, DONT_HAVE for what none has, and only to who asked', async () => {
    const { edge, client } = await setUp([await honest([5_000]), await honest([6_000])])
    const [here, there, nowhere, unasked] = [5_000, 6_000, 7_000, 8_000].map(ofSize) as [CID, CID, CID, CID]
    await client.want([unasked], { have: true })
    await client.want([here, there, nowhere], { have: true, sendDontHave: true })
    await client.until(({ haves, dontHaves }) => haves.size + dontHaves.size === 3)
    expect(client.received.haves).toEqual(new Set([here.toString(), there.toString()]))
    expect(client.received.dontHaves).toEqual(new Set([nowhere.toString()]))
    expect(client.received.blocks.size).toBe(0)
    // The unasked want is still held, should the block come.
    expect((await edge.metrics()).sum('kitsune_wants_outstanding')).toBe(2)
  })

  test('a want-have of a block of up to 1,024 bytes may be answered with it, of a larger one never', async () => {
    const { client } = await setUp([await honest([1_024, 1_025])])
    await client.want([ofSize(1_024), ofSize(1_025)])
    await client.until(({ blocks }) => blocks.size === 2)
    const again = keep(await startRawClient(client.connection.remoteAddr.toString()))
    await again.want([ofSize(1_024), ofSize(1_025)], { have: true, sendDontHave: true })
    await again.until(({ blocks, haves }) => blocks.size + haves.size === 2)
    expect([...again.received.blocks.keys()]).toEqual([ofSize(1_024).toString()])
    expect([...again.received.haves]).toEqual([ofSize(1_025).toString()])
  })

  test('nobody is told DONT_HAVE while a backend has not answered', async () => {
    const slow = Promise.withResolvers<void>()
    const quick = await honest([])
    const late = await honest([9_000], slow.promise)
    const { client } = await setUp([quick, late])
    await client.want([ofSize(9_000), ofSize(9_001)], { sendDontHave: true })
    const asked = async () => late.wants.length >= 2 && quick.wants.length >= 2
    await poll(asked, (both) => both, 10_000)
    expect(client.received.messages).toBe(0)
    slow.resolve()
    await client.until(({ blocks, dontHaves }) => blocks.size + dontHaves.size === 2)
    expect([...client.received.blocks.keys()]).toEqual([ofSize(9_000).toString()])
    expect([...client.received.dontHaves]).toEqual([ofSize(9_001).toString()])
  }, 20_000)

  test('a backend that says HAVE and then nothing does not keep a block from who wants it', async () => {
    const liar = keep(
      await startRogueBackend({
        async answer(wants, answer) {
          await answer.send({ haves: wants.filter(({ cancel }) => !cancel).map(({ cid }) => cid.bytes) })
        },
      }),
    )
    const { client } = await setUp([liar, await honest([3_000, 3_001, 3_002, 3_003])])
    const wanted = [3_000, 3_001, 3_002, 3_003].map(ofSize)
    await client.want(wanted, { sendDontHave: true })
    await client.until(({ blocks }) => blocks.size === 4, 15_000)
    expect(client.received.dontHaves.size).toBe(0)
    expect(liar.wants.length).toBeGreaterThan(0)
  }, 20_000)

  test('a client that was told DONT_HAVE still gets the block when a backend has it later', async () => {
    const blocks = new Map<string, Uint8Array>()
    const backend = keep(
      await startRogueBackend({
        async answer(wants, answer) {
          for (const { cid, cancel } of wants) {
            if (cancel) continue
            const bytes = blocks.get(cid.toString())
            await answer.send(bytes ? { blocks: [{ prefix: rawPrefix, bytes }] } : { dontHaves: [cid.bytes] })
          }
        },
      }),
    )
    const { client } = await setUp([backend])
    await client.want([ofSize(4_000)], { sendDontHave: true })
    await client.until(({ dontHaves }) => dontHaves.size === 1)
    blocks.set(ofSize(4_000).toString(), seededBlock(1, 4_000, 4_000))
    // Asking again is what clients do; an edge that remembers the old answer would deny it again.
    await client.want([ofSize(4_000)], { sendDontHave: true })
    await client.until((received) => received.blocks.size === 1)
  })
})
