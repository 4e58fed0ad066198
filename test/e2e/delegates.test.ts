import { expect, test } from 'bun:test'
import { rawBlock } from '#test/support/dag.ts'
import { startEdgeProcess } from '#test/support/edge.ts'
import { startGoServe } from '#test/support/go-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { startRawBrowser } from '#test/support/raw-browser.ts'
import { seededBlock } from '#test/support/seeded-content.ts'

const keep = keepUntilAfterEach()

test.skipIf(!requirePeer('go'))(
  'block/stat fetches the block from its caller, as clients of old expect before they have it announced',
  async () => {
    const backends = [keep(await startGoServe()), keep(await startGoServe())]
    const edge = keep(
      await startEdgeProcess({
        from: 'binary',
        backends: backends.map(({ rpc }) => rpc),
        env: { KITSUNE_RPC_ALLOW: 'delegates' },
      }),
    )
    await edge.untilReady()
    const block = rawBlock(seededBlock(5, 1, 5_000))
    keep(await startRawBrowser(edge.tcp, { blocks: [block] }))
    const response = await fetch(`${edge.web}/api/v0/block/stat?arg=${block.cid}`, { method: 'POST' })
    expect([response.status, await response.json()]).toEqual([
      200,
      { Key: block.cid.toString(), Size: 5_000 },
    ])
    const received = await Promise.all(backends.map(async (each) => (await each.stats()).blocksReceived))
    expect(received.sort()).toEqual([0, 1])
  },
  60_000,
)
