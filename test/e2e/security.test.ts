import { beforeAll, describe, expect, test } from 'bun:test'
import { ensureBinary } from '#test/support/binary.ts'
import { startEdgeProcess } from '#test/support/edge.ts'
import { goFetch, startGoServe } from '#test/support/go-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/** TLS and Noise, each alone and both, with a real go-libp2p on either side of the executable. */

const haveGo = requirePeer('go')
const keep = keepUntilAfterEach()
const fileBytes = 32 * 1024 * 1024
const protocols = ['tls', 'noise'] as const

describe.skipIf(!haveGo)('the executable', () => {
  beforeAll(() => ensureBinary(), 180_000)

  test.each(protocols)(
    'serves clients that speak %s only on every TCP door, from such a backend',
    async (security) => {
      const backend = keep(await startGoServe({ fileBytes, security }))
      const edge = keep(await startEdgeProcess({ from: 'binary', backends: [backend.rpc] }))
      await edge.untilReady()
      for (const peer of [edge.tcp, edge.ws]) {
        const fetched = await goFetch({ peer, cid: backend.root ?? '', security })
        expect(fetched.sha256).toBe(seededFileDigest(1, fileBytes))
      }
    },
    120_000,
  )

  test.each(protocols)(
    'that offers %s only is understood by who speaks both, and by nobody who does not',
    async (security) => {
      const backend = keep(await startGoServe({ fileBytes: 1024 * 1024 }))
      const env = { KITSUNE_SECURITY: security, KITSUNE_BACK_SECURITY: security }
      const edge = keep(await startEdgeProcess({ from: 'binary', backends: [backend.rpc], env }))
      await edge.untilReady()
      const cid = backend.root ?? ''
      expect((await goFetch({ peer: edge.tcp, cid })).sha256).toBe(seededFileDigest(1, 1024 * 1024))
      const other = security === 'tls' ? 'noise' : 'tls'
      await expect(goFetch({ peer: edge.tcp, cid, security: other })).rejects.toThrow(/protocol|negotiate/)
    },
    120_000,
  )
})
