import { describe, expect, test } from 'bun:test'
import { startEdgeProcess } from '#test/support/edge.ts'
import { type FalseAnswer, startFalseGateway } from '#test/support/false-gateway.ts'
import { goLoad } from '#test/support/go-load.ts'
import { goBinary, startGoServe } from '#test/support/go-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'

/** Contract 1 on the road of large blocks: what a gateway gives is hashed before it is forwarded. */
const content = { blocks: 100, blockBytes: 100_000 }
const keep = keepUntilAfterEach()

const lies: readonly (readonly [name: string, send: FalseAnswer])[] = [
  [
    'with one bit flipped',
    (response, block) => {
      block[block.length - 1] = (block.at(-1) ?? 0) ^ 1
      response.end(block)
    },
  ],
  ['empty', (response) => response.end()],
  ['cut to its first half', (response, block) => response.end(block.subarray(0, 50_000))],
  ['followed by one more byte', (response, block) => response.end(Buffer.concat([block, Buffer.alloc(1)]))],
  [
    'as a page',
    (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>It works</h1>'),
  ],
]

describe.skipIf(!requirePeer('go'))('a wrong block of a gateway never leaves', () => {
  test.each(lies)(
    'a lie %s is counted, and the want goes on by Bitswap',
    async (_, send) => {
      await goBinary()
      const backend = keep(await startGoServe(content))
      const gateway = keep(await startFalseGateway(content, send))
      const edge = keep(
        await startEdgeProcess({
          backends: [`${backend.rpc};gateway=${gateway.url}`],
          env: { KITSUNE_CACHE: '0' },
        }),
      )
      await edge.untilReady()
      const result = await goLoad({
        peer: edge.tcp,
        clients: 2,
        wants: 8,
        ...content,
        count: 100,
        shared: true,
      })
      expect(result).toMatchObject({ blocks: 200, wrong: 0, lost: 0 })
      expect(gateway.requests).toBeGreaterThan(0)
      const metrics = await edge.metrics()
      const outcome = (name: string) => metrics.sum('kitsune_gateway_requests_total', { outcome: name })
      expect(outcome('found')).toBe(0)
      expect(outcome('wrong-block')).toBeGreaterThan(0)
      expect(metrics.refused('backend')).toEqual({ 'wrong-block': outcome('wrong-block') })
    },
    60_000,
  )
})
