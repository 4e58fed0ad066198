import { describe, expect, test } from 'bun:test'
import { doorScene } from '#test/support/door-scene.ts'
import { flawless, goLoad, startGoLoad } from '#test/support/go-load.ts'
import { goFetch } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { startHalfOpenRelay, startQuicDialler } from '#test/support/quic-client.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/** QUIC on the executable, by go-libp2p: quic-go and Kubo's Bitswap. */
const mebibyte = 1024 * 1024
const fileBytes = 64 * mebibyte
const size = { blocks: 256, blockBytes: 256 * 1024, blockSeed: 13 }

describe.skipIf(!requirePeer('go'))('QUIC', () => {
  const scene = doorScene('/ip4/127.0.0.1/udp/0/quic-v1', '/quic-v1/', {
    fileBytes,
    fileSeed: 51,
    ...size,
  })

  test('64 MiB by boxo are what they were', async () => {
    const { sha256 } = await goFetch({ peer: scene.peer, cid: scene.backend.root ?? '' })
    expect(sha256).toBe(seededFileDigest(51, fileBytes))
  }, 60_000)

  test.each([
    { name: '8 clients, one stream each', load: { clients: 8 } },
    {
      name: '16 clients, a stream per message, cancels twice',
      load: { clients: 16, stream: 'per-message' as const, cancels: 2 },
    },
  ])(
    '$name: nothing is lost',
    async ({ load }) => {
      expect(await goLoad({ peer: scene.peer, ...size, ...load })).toMatchObject({
        ...flawless,
        blocks: size.blocks,
      })
      await scene.edge.untilMetrics((m) => m.sum('kitsune_connections') === 0)
    },
    60_000,
  )

  test('clients that read nothing are bounded, told by transport, and hold up nobody', async () => {
    const slow = await startGoLoad({
      peer: scene.peer,
      ...size,
      clients: 8,
      shared: true,
      wants: 256,
      slow: true,
      seconds: 20,
    })
    try {
      await scene.edge.untilMetrics((m) => m.sum('kitsune_connections', { transport: 'quic-v1' }) === 8)
      const before = scene.residentBytes()
      // Their windows are full, and what waits behind these is as much as it may be.
      const full = await scene.edge.untilMetrics((m) => m.sum('kitsune_outbox_bytes') > 8 * mebibyte)
      expect(full.sum('kitsune_outbox_bytes')).toBeLessThan(8 * 5 * mebibyte)
      expect(await goLoad({ peer: scene.peer, ...size, clients: 4 })).toMatchObject({
        ...flawless,
        blocks: size.blocks,
      })
      // All of it would be 512 MiB.
      expect(scene.residentBytes() - before).toBeLessThan(224 * mebibyte)
    } finally {
      await slow.stop()
    }
    await scene.edge.untilMetrics((m) => m.sum('kitsune_connections') === 0)
  }, 60_000)

  test('five hundred handshakes that stop in the middle keep nobody out', async () => {
    const relay = await startHalfOpenRelay(Number(/\/udp\/(\d+)/.exec(scene.peer)?.[1]))
    const dialler = await startQuicDialler()
    try {
      const before = scene.residentBytes()
      for (let i = 0; i < 500; i++) {
        dialler.dial(relay.port).catch(() => {})
        // A socket on loopback holds some 150 of their packets.
        if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 10))
      }
      const { sha256 } = await goFetch({ peer: scene.peer, cid: scene.backend.root ?? '', timeoutMs: 8_000 })
      expect(sha256).toBe(seededFileDigest(51, fileBytes))
      expect(relay.answered).toBeGreaterThan(400)
      expect(scene.residentBytes() - before).toBeLessThan(192 * mebibyte)
    } finally {
      dialler.stop()
      relay.stop()
    }
  }, 60_000)

  test('it ends as it should', async () => {
    const client = await startGoLoad({ peer: scene.peer, ...size, clients: 2, loop: true, seconds: 30 })
    await client.reached(50, 10_000)
    expect(await scene.edge.end('SIGTERM')).toBe(0)
    await client.stop()
  }, 60_000)
})
