import { describe, expect, test } from 'bun:test'
import { doorScene } from '#test/support/door-scene.ts'
import { flawless, goLoad, startGoLoad } from '#test/support/go-load.ts'
import { goFetch } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/** WebRTC-direct on the executable, by go-libp2p (pion). Chromium is in `browser/doors.test.ts`. */
const mebibyte = 1024 * 1024
const fileBytes = 32 * mebibyte
const size = { blocks: 128, blockBytes: 256 * 1024, blockSeed: 13 }

describe.skipIf(!requirePeer('go'))('WebRTC-direct', () => {
  const scene = doorScene('/ip4/127.0.0.1/udp/0/webrtc-direct', '/webrtc-direct/certhash/', {
    fileBytes,
    fileSeed: 52,
    ...size,
  })

  test('32 MiB by boxo are what they were', async () => {
    const { sha256 } = await goFetch({ peer: scene.peer, cid: scene.backend.root ?? '' })
    expect(sha256).toBe(seededFileDigest(52, fileBytes))
  }, 90_000)

  test.each([
    { name: '4 clients, one stream each', load: { clients: 4 } },
    {
      name: '8 clients, a stream per message, cancels twice',
      load: { clients: 8, stream: 'per-message' as const, cancels: 2 },
    },
  ])(
    '$name: nothing is lost',
    async ({ load }) => {
      expect(await goLoad({ peer: scene.peer, ...size, ...load })).toMatchObject({
        ...flawless,
        blocks: size.blocks,
      })
      await scene.edge.untilMetrics((m) => m.sum('kitsune_connections') === 0, 45_000)
    },
    120_000,
  )

  test('clients that read nothing are bounded, and hold up nobody', async () => {
    const run = { ...size, shared: true, wants: 128, slow: true, seconds: 30 }
    const slow = await startGoLoad({ peer: scene.peer, ...run, clients: 8 })
    try {
      await scene.edge.untilMetrics((m) => m.sum('kitsune_connections', { transport: 'webrtc-direct' }) === 8)
      const before = scene.residentBytes()
      // Their windows are full, and what waits behind these is as much as it may be.
      const full = await scene.edge.untilMetrics((m) => m.sum('kitsune_outbox_bytes') > 8 * mebibyte)
      expect(full.sum('kitsune_outbox_bytes')).toBeLessThan(8 * 5 * mebibyte)
      expect(await goLoad({ peer: scene.peer, ...size, clients: 4 })).toMatchObject({
        ...flawless,
        blocks: size.blocks,
      })
      // All of it would be 256 MiB, and as much again where each layer keeps a copy.
      expect(scene.residentBytes() - before).toBeLessThan(224 * mebibyte)
    } finally {
      await slow.stop()
    }
    await scene.edge.untilMetrics((m) => m.sum('kitsune_connections') === 0, 45_000)
  }, 120_000)

  test('it ends as it should, with clients on it, and writes nothing but its log', async () => {
    const client = await startGoLoad({ peer: scene.peer, ...size, clients: 2, loop: true, seconds: 30 })
    await client.reached(20, 20_000)
    expect(await scene.edge.end('SIGTERM')).toBe(0)
    await client.stop()
    expect(scene.edge.logs.every(({ level }) => level !== undefined)).toBe(true)
  }, 60_000)
})
