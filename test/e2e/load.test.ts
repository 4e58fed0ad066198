import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { protocols } from '#src/bitswap/protocol.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { flawless, type GoLoadOptions, goLoad } from '#test/support/go-load.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'

/**
 * Raw Go clients in every shape the field has: no want is lost, no byte is wrong, whatever the block size, the
 * number of clients, the streams, the protocol version or the muxer.
 */
const kibibyte = 1024

/** The same blocks on both backends; 64 clients of the largest ones are 256 MiB. */
const sizes = [
  { blockBytes: kibibyte, blocks: 6_400, blockSeed: 11 },
  { blockBytes: 64 * kibibyte, blocks: 640, blockSeed: 12 },
  { blockBytes: 256 * kibibyte, blocks: 256, blockSeed: 13 },
  { blockBytes: 2048 * kibibyte, blocks: 64, blockSeed: 14 },
]

const shapes: { name: string; load: Omit<GoLoadOptions, 'peer' | 'blocks' | 'blockBytes'> }[] = [
  { name: '8 clients, one stream each, DONT_HAVE asked for', load: { clients: 8, sendDontHave: true } },
  {
    name: '64 clients, a stream per message, cancels twice',
    load: { clients: 64, wants: 16, stream: 'per-message', cancels: 2 },
  },
  {
    name: '8 clients like js-ipfs: mplex, a stream per message, no DONT_HAVE',
    load: { clients: 8, muxers: 'mplex', stream: 'per-message', cancels: 2 },
  },
  { name: '64 clients on mplex, one stream each', load: { clients: 64, wants: 16, muxers: 'mplex' } },
]

describe.skipIf(!requirePeer('go')).each(['source', 'binary'] as const)('load on an edge from %s', (from) => {
  for (const size of sizes) {
    describe(`blocks of ${size.blockBytes / kibibyte} KiB`, () => {
      let backends: GoServe[] = []
      let edge: EdgeProcess

      beforeAll(async () => {
        await goBinary()
        if (from === 'binary') await ensureBinary()
        backends = await Promise.all([startGoServe(size), startGoServe(size)])
        edge = await startEdgeProcess({ from, backends: backends.map(({ rpc }) => rpc) })
        await edge.untilReady()
      }, 300_000)
      afterAll(async () => {
        await edge?.stop()
        await Promise.all(backends.map((backend) => backend.stop()))
      })

      for (const { name, load } of shapes) {
        test(name, async () => {
          const result = await goLoad({ peer: edge.tcp, ...size, ...load })
          expect(result).toMatchObject({ ...flawless, blocks: size.blocks })
        }, 60_000)
      }

      test('8 clients on mplex over ws, all wanting the same', async () => {
        const shared = {
          clients: 8,
          wants: 64,
          count: Math.min(size.blocks, 64),
          shared: true,
          muxers: 'mplex',
        }
        const result = await goLoad({ peer: edge.ws, ...size, ...shared })
        expect(result).toMatchObject({ ...flawless, blocks: 8 * shared.count })
      }, 60_000)

      test.each([...protocols])(
        '%s over ws',
        async (protocol) => {
          const missing = 5
          const asked = { missing, sendDontHave: true, lostAfterMs: 10_000 }
          const presences = protocol.endsWith('1.2.0')
          const run = goLoad({
            peer: edge.ws,
            ...size,
            count: 8,
            clients: 4,
            protocol,
            ...(presences && asked),
          })
          const result = await run
          expect(result).toMatchObject({ ...flawless, blocks: 32 })
          expect(result.missingDenied).toBe(presences ? missing * 4 : 0)
        },
        60_000,
      )

      test('nothing is left of it', async () => {
        await edge.untilMetrics(
          (m) => m.sum('kitsune_clients') === 0 && m.sum('kitsune_wants_outstanding') === 0,
        )
        const metrics = await edge.metrics()
        expect(metrics.refused('client')).toEqual({})
        expect(metrics.sum('kitsune_outbox_bytes')).toBe(0)
      })
    })
  }
})
