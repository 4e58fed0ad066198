import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { goLoad, startGoLoad } from '#test/support/go-load.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/** WebRTC-direct on the executable, by go-libp2p (pion). Chromium is in `browser/doors.test.ts`. */
const mebibyte = 1024 * 1024
const fileBytes = 32 * mebibyte
const size = { blocks: 128, blockBytes: 256 * 1024, blockSeed: 13 }

/** What a run must not have. */
const flawless = { lost: 0, wrong: 0, unfinished: 0, disconnects: 0, errors: 0, firstError: null }

describe.skipIf(!requirePeer('go'))('WebRTC-direct', () => {
  let backend: GoServe
  let edge: EdgeProcess
  let peer = ''

  beforeAll(async () => {
    await Promise.all([goBinary(), ensureBinary()])
    backend = await startGoServe({ fileBytes, fileSeed: 52, ...size })
    edge = await startEdgeProcess({
      from: 'binary',
      backends: [backend.rpc],
      env: {
        KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/webrtc-direct',
        KITSUNE_CLIENT_BUFFER: '4MiB',
      },
    })
    await edge.untilReady()
    const { listening } = edge.process.ready as unknown as { listening: string[] }
    peer = listening.find((address) => address.includes('/webrtc-direct/certhash/')) ?? ''
  }, 300_000)
  afterAll(async () => {
    await edge?.stop()
    await backend?.stop()
  })

  const residentBytes = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${edge.process.pid}/status`, 'utf8'))?.[1]) * 1024

  test('32 MiB by boxo are what they were', async () => {
    const { sha256 } = await goFetch({ peer, cid: backend.root ?? '' })
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
      expect(await goLoad({ peer, ...size, ...load })).toMatchObject({ ...flawless, blocks: size.blocks })
      await edge.untilMetrics((m) => m.sum('kitsune_connections') === 0, 45_000)
    },
    120_000,
  )

  test('clients that read nothing are bounded, and hold up nobody', async () => {
    const run = { ...size, shared: true, wants: 128, slow: true, seconds: 30 }
    const slow = await startGoLoad({ peer, ...run, clients: 8 })
    try {
      await edge.untilMetrics((m) => m.sum('kitsune_connections', { transport: 'webrtc-direct' }) === 8)
      const before = residentBytes()
      // Their windows are full, and what waits behind these is as much as it may be.
      const full = await edge.untilMetrics((m) => m.sum('kitsune_outbox_bytes') > 8 * mebibyte)
      expect(full.sum('kitsune_outbox_bytes')).toBeLessThan(8 * 5 * mebibyte)
      expect(await goLoad({ peer, ...size, clients: 4 })).toMatchObject({ ...flawless, blocks: size.blocks })
      // All of it would be 256 MiB, and as much again where each layer keeps a copy.
      expect(residentBytes() - before).toBeLessThan(224 * mebibyte)
    } finally {
      await slow.stop()
    }
    await edge.untilMetrics((m) => m.sum('kitsune_connections') === 0, 45_000)
  }, 120_000)

  test('it ends as it should, with clients on it, and writes nothing but its log', async () => {
    const client = await startGoLoad({ peer, ...size, clients: 2, loop: true, seconds: 30 })
    await client.reached(20, 20_000)
    expect(await edge.end('SIGTERM')).toBe(0)
    await client.stop()
    expect(edge.logs.every(({ level }) => level !== undefined)).toBe(true)
  }, 60_000)
})
