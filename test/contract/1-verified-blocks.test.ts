import { describe, expect, test } from 'bun:test'
import { startEdgeProcess } from '#test/support/edge.ts'
import { goLoad } from '#test/support/go-load.ts'
import { goBinary, startGoServe } from '#test/support/go-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { startRawClient } from '#test/support/raw-client.ts'
import { rawPrefix } from '#test/support/raw-message.ts'
import { type Answer, type LaneWant, startRogueBackend } from '#test/support/rogue-backend.ts'
import { rawCid, seededBlock, seededCid } from '#test/support/seeded-content.ts'

/** Contract 1: bytes are hashed before they are forwarded; a wrong block never leaves and is counted. */
const blockBytes = 20_000
const keep = keepUntilAfterEach()

describe('a wrong block never leaves', () => {
  test.skipIf(!requirePeer('go'))(
    'clients get right bytes from whoever has them, though one backend lies',
    async () => {
      await goBinary()
      const content = { blocks: 60, blockBytes }
      const liar = keep(await startGoServe({ ...content, corruptEvery: 3 }))
      const honest = keep(await startGoServe(content))
      const edge = keep(
        await startEdgeProcess({ backends: [liar.rpc, honest.rpc], env: { KITSUNE_CACHE: '0' } }),
      )
      await edge.untilReady()
      const result = await goLoad({ peer: edge.tcp, clients: 3, ...content, count: 60, shared: true })
      expect(result).toMatchObject({ blocks: 180, wrong: 0, lost: 0 })
      expect((await edge.metrics()).refused('backend')['wrong-block']).toBeGreaterThan(0)
    },
    60_000,
  )

  const wanted = seededCid(1, 0, blockBytes)
  const right = seededBlock(1, 0, blockBytes)
  const flipped = right.slice()
  flipped[blockBytes - 1] = (flipped[blockBytes - 1] ?? 0) ^ 1
  const lies: { name: string; reason: string; send: (answer: Answer, want: LaneWant) => Promise<void> }[] = [
    {
      name: 'with one bit flipped',
      reason: 'wrong-block',
      send: (answer) => answer.send({ blocks: [{ prefix: rawPrefix, bytes: flipped }] }),
    },
    {
      name: 'as a bare block of Bitswap 1.0 with one bit flipped',
      reason: 'wrong-block',
      send: (answer) => answer.send({ bareBlocks: [flipped] }),
    },
    {
      name: 'empty',
      reason: 'wrong-block',
      send: (answer) => answer.send({ blocks: [{ prefix: rawPrefix, bytes: new Uint8Array(0) }] }),
    },
    {
      name: 'cut to its first half',
      reason: 'wrong-block',
      send: (answer) => answer.send({ blocks: [{ prefix: rawPrefix, bytes: right.subarray(0, 10_000) }] }),
    },
    {
      name: 'with a digest of one byte',
      reason: 'bad-cid',
      send: (answer) => answer.send({ blocks: [{ prefix: Uint8Array.of(1, 0x55, 0x12, 1), bytes: right }] }),
    },
    {
      name: 'with an identity hash',
      reason: 'unknown-hash',
      send: (answer) => answer.send({ blocks: [{ prefix: Uint8Array.of(1, 0x55, 0, 32), bytes: flipped }] }),
    },
    {
      name: 'of over 2 MiB',
      reason: 'block-too-big',
      send: (answer) =>
        answer.send({ blocks: [{ prefix: rawPrefix, bytes: new Uint8Array(2 * 1024 * 1024 + 1) }] }),
    },
  ]

  test.each(lies)('a lie $name is counted, and the want goes on to the truth', async ({ reason, send }) => {
    let lied = false
    const rogue = keep(
      await startRogueBackend({
        async answer([want], answer) {
          if (want === undefined || want.cancel) return
          if (!lied) {
            lied = true
            await send(answer, want)
          }
          await edge.untilMetrics((m) => (m.refused('backend')[reason] ?? 0) > 0)
          await answer.send({ blocks: [{ prefix: rawPrefix, bytes: right }] })
        },
      }),
    )
    const edge = keep(await startEdgeProcess({ backends: [rogue.addr] }))
    await edge.untilReady()
    const client = keep(await startRawClient(edge.tcp))
    await client.want([wanted], { sendDontHave: true })
    await client.until(({ blocks }) => blocks.size > 0)
    expect([...client.received.blocks]).toEqual([[wanted.toString(), right]])
    expect((await edge.metrics()).refused('backend')).toEqual({ [reason]: 1 })
  })

  test('blocks nobody asked for go nowhere, the same block again is not sent twice', async () => {
    const stray = seededBlock(9, 9, 5_000)
    const rogue = keep(
      await startRogueBackend({
        async answer([want], answer) {
          if (want === undefined || want.cancel) return
          const strays = [1, 2, 3].map(() => ({ prefix: rawPrefix, bytes: stray }))
          await answer.send({ blocks: [...strays, { prefix: rawPrefix, bytes: right }] })
          await answer.send({ blocks: [{ prefix: rawPrefix, bytes: right }] })
        },
      }),
    )
    const edge = keep(await startEdgeProcess({ backends: [rogue.addr] }))
    await edge.untilReady()
    const client = keep(await startRawClient(edge.tcp))
    await client.want([wanted])
    await edge.untilMetrics((m) => (m.refused('backend')['unwanted-block'] ?? 0) === 1)
    await client.until(({ blocks }) => blocks.has(wanted.toString()))
    expect((await edge.metrics()).refused('backend')).toEqual({ 'wrong-block': 3, 'unwanted-block': 1 })
    expect(client.received).toMatchObject({ messages: 1, bytes: blockBytes })
    expect(client.received.blocks.has(rawCid(stray).toString())).toBe(false)
  })
})
