import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureBinary } from '#test/support/binary.ts'
import { writeCertificate } from '#test/support/certificates.ts'
import { poll, runEdgeToItsEnd, startEdgeProcess } from '#test/support/edge.ts'
import { startGoLoad } from '#test/support/go-load.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { certificateShown } from '#test/support/tls-client.ts'
import { makeTlsPlace, startTlsEdge, type TlsEdge, type TlsPlace } from '#test/support/tls-edge.ts'

/** Certificates come, change and end while the edge runs. */
const load = { blocks: 256, blockBytes: 256 * 1024, blockSeed: 5 }

describe.skipIf(!requirePeer('go'))('the certificates of the web port', () => {
  let place: TlsPlace
  let backend: GoServe
  let tls: TlsEdge

  beforeAll(async () => {
    await goBinary()
    await ensureBinary()
    place = await makeTlsPlace()
    backend = await startGoServe(load)
    tls = await startTlsEdge(place, backend.rpc, { KITSUNE_CACHE: '0' })
    await tls.edge.untilReady()
  }, 300_000)
  afterAll(async () => {
    await tls?.edge.stop()
    await backend?.stop()
    await place?.stop()
  })

  test('swaps certificates under load: nobody is dropped, and who comes gets the new one', async () => {
    const swaps = 10
    const running = await startGoLoad({
      peer: tls.wss,
      ...load,
      clients: 4,
      seconds: 50,
      loop: true,
      settle: true,
    })
    try {
      await running.reached(load.blocks, 30_000)
      for (let swap = 1; swap <= swaps; swap++) {
        const name = `swap${swap}.test`
        const next = await writeCertificate(
          place.at,
          'next',
          await place.authority.issue([name, 'localhost', '127.0.0.1']),
        )
        await rename(next.keyFile, place.first.keyFile)
        await rename(next.certFile, place.first.certFile)
        await poll(
          () => certificateShown(tls.wssPort),
          (shown) => shown === name,
          15_000,
        )
      }
      const result = await running.result(120_000)
      expect(result).toMatchObject({ lost: 0, wrong: 0, errors: 0, disconnects: 0, unfinished: 0 })
      expect(result.blocks).toBeGreaterThan(4 * load.blocks)
    } finally {
      await running.stop()
    }
    const metrics = await tls.edge.metrics()
    expect(metrics.sum('kitsune_tls_reloads_total', { outcome: 'taken' })).toBe(swaps)
    const ends = metrics.sum('kitsune_tls_certificate_not_after_seconds', { name: `swap${swaps}.test` })
    expect(ends * 1_000 - Date.now()).toBeWithin(29 * 86_400_000, 31 * 86_400_000)
  }, 200_000)

  describe('with a certificate that cannot be used', () => {
    test('a door that is optional opens when its certificate is there', async () => {
      const late = await mkdtemp(join(place.at, 'late-'))
      const started = await startEdgeProcess({
        from: 'binary',
        backends: [backend.rpc],
        env: {
          KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/tls/ws?',
          KITSUNE_TLS_CERT_FILE: join(late, 'live.crt'),
          KITSUNE_TLS_KEY_FILE: join(late, 'live.key'),
          KITSUNE_HTTP_LISTEN: '127.0.0.1:0',
        },
      })
      try {
        expect(started.addresses).toHaveLength(1)
        expect((await started.metrics()).sum('kitsune_door_open', { transport: 'wss' })).toBe(0)
        await writeCertificate(late, 'live', await place.authority.issue(['late.test', '127.0.0.1']))
        await started.untilMetrics((now) => now.sum('kitsune_door_open', { transport: 'wss' }) === 1, 15_000)
        const id = await (await fetch(`${started.admin}/api/v0/id`)).text()
        const opened = Number(/\/tcp\/(\d+)\/(?:tls\/ws|wss)/.exec(id)?.[1])
        expect(await certificateShown(opened)).toBe('late.test')
      } finally {
        await started.stop()
      }
    }, 40_000)

    const env = (listen: string, certFile: string, keyFile: string) => ({
      KITSUNE_BACKENDS: backend.rpc,
      KITSUNE_DATA_DIR: place.at,
      KITSUNE_LISTEN: listen,
      KITSUNE_TLS_CERT_FILE: certFile,
      KITSUNE_TLS_KEY_FILE: keyFile,
    })

    test('the edge does not start, and says why', async () => {
      const until = new Date(Date.now() - 60_000)
      const expired = await writeCertificate(
        place.at,
        'expired',
        await place.authority.issue(['localhost'], { until }),
      )
      const listen = '/ip4/127.0.0.1/tcp/0/tls/ws'
      const late = await runEdgeToItsEnd({
        from: 'binary',
        env: env(listen, expired.certFile, expired.keyFile),
      })
      expect(late.outcome).not.toBe(0)
      expect(late.stderr).toContain(`${expired.certFile} is expired`)
      const mixed = await runEdgeToItsEnd({
        from: 'binary',
        env: env(listen, place.first.certFile, expired.keyFile),
      })
      expect(mixed.stderr).toContain(`${expired.keyFile} is not the key of the certificate`)
      const none = await runEdgeToItsEnd({
        from: 'binary',
        env: env(listen, join(place.at, 'none'), place.first.keyFile),
      })
      expect(none.stderr).toContain('no such file')
    }, 30_000)
  })
})
