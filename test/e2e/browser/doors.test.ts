import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { type DoorKind, doorKinds } from '#src/config/listen.ts'
import { doorOfConnection } from '#src/p2p/door/front-doors.ts'
import { listedBy, missingAt } from '#test/support/backend-holdings.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { bundleForBrowser } from '#test/support/browser-bundle.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { makeAuthority, writeCertificate } from '#test/support/certificates.ts'
import { type BrowserPage, type ChromiumBrowser, startChromium } from '#test/support/chromium.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'
import type { BrowserDoor, VisitPlan } from './doors-visit.ts'

/**
 * The example page in Chromium, at a compiled edge with every door that browsers have: through each it fetches a file that
 * a backend has, and leaves one behind.
 */
const fileBytes = 16 * 2 ** 20
const addBytes = 4 * 2 ** 20
const fileSeed = 61
const here = join(repositoryRoot, 'test', 'e2e', 'browser')

const doors: Readonly<Record<BrowserDoor, string>> = {
  ws: '/ip4/127.0.0.1/tcp/0/ws',
  wss: '/ip4/127.0.0.1/tcp/0/tls/ws',
  'webrtc-direct': '/ip4/127.0.0.1/udp/0/webrtc-direct',
  webtransport: '/ip4/127.0.0.1/udp/0/quic-v1/webtransport',
}

const havePeers = [requirePeer('go'), requirePeer('chromium')].every(Boolean)

describe.skipIf(!havePeers)('the page of every door', () => {
  let backend: GoServe
  let edge: EdgeProcess
  let browser: ChromiumBrowser
  let pages: ReturnType<typeof Bun.serve>
  let certificates: string
  let page: BrowserPage | undefined

  beforeAll(async () => {
    await Promise.all([goBinary(), ensureBinary()])
    backend = await startGoServe({ fileBytes, fileSeed })
    certificates = await mkdtemp(join(tmpdir(), 'kitsune-doors-'))
    const issued = await (await makeAuthority()).issue(['localhost'])
    const { certFile, keyFile } = await writeCertificate(certificates, 'web', issued)
    edge = await startEdgeProcess({
      from: 'binary',
      backends: [backend.rpc],
      env: {
        KITSUNE_LISTEN: Object.values(doors).join(','),
        KITSUNE_TLS_CERT_FILE: certFile,
        KITSUNE_TLS_KEY_FILE: keyFile,
      },
    })
    await edge.untilReady()
    browser = await startChromium({ quic: true })
    pages = await servePage()
  }, 300_000)

  afterAll(async () => {
    await browser?.stop()
    await pages?.stop(true)
    await edge?.stop()
    await backend?.stop()
    if (certificates !== undefined) await rm(certificates, { recursive: true, force: true })
  })

  const planOf = (door: BrowserDoor): VisitPlan => {
    const address = edge.addresses.find((each) => doorOfConnection(multiaddr(each)) === door) ?? ''
    const file = { cid: `${backend.root}`, bytes: fileBytes, sha256: seededFileDigest(fileSeed, fileBytes) }
    if (door !== 'wss') return { door, address, api: edge.web, file, addBytes }
    // The certificate is for a name, and one port is for both.
    const named = address.replace('/ip4/127.0.0.1/', '/dns4/localhost/')
    return { door, address: named, api: `https://localhost:${/tcp\/(\d+)/.exec(named)?.[1]}`, file, addBytes }
  }

  const kinds = Object.keys(doors) as BrowserDoor[]

  test.each(kinds)(
    '%s: it fetches, adds, and what it added stays',
    async (door) => {
      page ??= await openPage(kinds.map(planOf))
      expect(await page.text(`#${door} .outcome`, 90_000)).toBe('done')
      // Not the page's word, but that of the backend.
      const sha256 = await page.text(`#${door} [data-step=add] .sha256 code`)
      const cid = await page.text(`#${door} [data-step=add] .cid code`)
      expect(await missingAt(backend.rpc, await listedBy(backend.rpc, cid))).toEqual([])
      expect(await goFetch({ peer: backend.addr, cid })).toMatchObject({ sha256 })
    },
    120_000,
  )

  test('each node came by its own door, and when the page is gone all are', async () => {
    // A node has the transport of its door and no other.
    expect(await connectionsBy(edge)).toEqual({ ws: 1, wss: 1, 'webrtc-direct': 1, webtransport: 1 })
    const { KITSUNE_TEST_SCREENSHOT: picture } = process.env
    if (picture !== undefined) await page?.screenshot(picture)
    await page?.close()
    // Who leaves without a word over UDP is found by its silence.
    await edge.untilMetrics((m) => m.sum('kitsune_connections') === 0, 60_000)
  }, 90_000)

  const openPage = (plans: readonly VisitPlan[]): Promise<BrowserPage> =>
    browser.open(`http://localhost:${pages.port}/#${encodeURIComponent(JSON.stringify(plans))}`)
})

/** Returns the connections open by each kind of door, those with none left out. */
async function connectionsBy(edge: EdgeProcess): Promise<Partial<Record<DoorKind, number>>> {
  const metrics = await edge.metrics()
  const counts = doorKinds.map((kind) => [kind, metrics.sum('kitsune_connections', { transport: kind })])
  return Object.fromEntries(counts.filter(([, count]) => count !== 0))
}

async function servePage(): Promise<ReturnType<typeof Bun.serve>> {
  const script = await bundleForBrowser(join(here, 'doors-page.ts'))
  const routes: Record<string, () => Response> = {
    '/': () => new Response(Bun.file(join(here, 'doors.html'))),
    '/doors.css': () => new Response(Bun.file(join(here, 'doors.css'))),
    '/doors.js': () => new Response(script, { headers: { 'content-type': 'text/javascript' } }),
  }
  const answer = ({ url }: Request): Response =>
    routes[new URL(url).pathname]?.() ?? new Response(null, { status: 404 })
  return Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: answer })
}
