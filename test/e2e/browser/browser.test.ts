import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { missingAt } from '#test/support/backend-holdings.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { type ChromiumBrowser, startChromium } from '#test/support/chromium.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { installJsIpfs, jsIpfsBrowserBuild } from '#test/support/js-ipfs-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { callRefs } from '#test/support/refs-call.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'
import { startTlsDoor, type TlsDoor } from '#test/support/tls-door.ts'

/**
 * The browser of the field: Chromium, with ipfs-core's own browser build, at an edge behind TLS. That build dials
 * nothing but `wss` to a DNS name, so the edge has a door with a certificate, as preload nodes have.
 */
const fileBytes = 3_000_000
const here = join(repositoryRoot, 'test', 'e2e', 'browser')

const files: Record<string, string> = {
  '/': join(here, 'page.html'),
  '/page.js': join(here, 'page.js'),
  '/seeded-chunks.mjs': join(repositoryRoot, 'test', 'peers', 'js-ipfs', 'seeded-chunks.mjs'),
  '/ipfs-core.js': jsIpfsBrowserBuild,
}

const havePeers = [requirePeer('go'), requirePeer('js-ipfs'), requirePeer('chromium')].every(Boolean)

describe.skipIf(!havePeers)('a page with js-ipfs', () => {
  let backend: GoServe
  let edge: EdgeProcess
  let door: TlsDoor
  let browser: ChromiumBrowser
  let pages: ReturnType<typeof Bun.serve>

  beforeAll(async () => {
    await Promise.all([goBinary(), installJsIpfs(), ensureBinary()])
    backend = await startGoServe({ fileBytes, fileSeed: 31 })
    edge = await startEdgeProcess({ from: 'binary', backends: [backend.rpc] })
    await edge.untilReady()
    door = await startTlsDoor(Number(new URL(edge.web).port))
    browser = await startChromium()
    pages = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) => {
        const file = files[new URL(request.url).pathname]
        return file === undefined ? new Response(null, { status: 404 }) : new Response(Bun.file(file))
      },
    })
  }, 300_000)

  afterAll(async () => {
    await browser?.stop()
    await pages?.stop(true)
    await door?.stop()
    await edge?.stop()
    await backend?.stop()
  })

  const open = (what: object) => {
    const facts = {
      bootstrap: [`/dns4/localhost/tcp/${door.port}/wss/p2p/${edge.peerId}`],
      preload: [`/dns4/localhost/tcp/${door.port}/https`],
      ...what,
    }
    return browser.open(`http://localhost:${pages.port}/#${encodeURIComponent(JSON.stringify(facts))}`)
  }

  test('reads what a backend has', async () => {
    const page = await open({ cat: backend.root })
    expect(await page.text('#sha256', 60_000)).toBe(seededFileDigest(31, fileBytes))
    await page.close()
  }, 90_000)

  test('leaves behind what it added: a later page reads it', async () => {
    const first = await open({ add: { seed: 32, bytes: fileBytes } })
    const cid = await first.text('#cid', 60_000)
    const refs = await first.requested(
      ({ url, method }) => method === 'POST' && url.endsWith(`/api/v0/refs?r=true&arg=${cid}`),
      60_000,
    )
    expect(refs.status).toBe(200)
    // Not the browser's word but that of the edge, and of the backend: it ended well, and everything is there.
    await edge.untilMetrics((m) => m.sum('kitsune_refs_under_way') === 0)
    const ended = (await edge.metrics()).sum('kitsune_refs_total')
    expect((await edge.metrics()).sum('kitsune_refs_total', { outcome: 'done' })).toBe(ended)
    await first.close()
    const listed = await callRefs({ web: backend.rpc, arg: cid }).answer
    expect(listed.refs).toHaveLength(12)
    expect(await missingAt(backend.rpc, [cid, ...listed.refs])).toEqual([])
    await edge.untilMetrics((m) => m.sum('kitsune_clients') === 0)

    const second = await open({ cat: cid })
    expect(await second.text('#sha256', 60_000)).toBe(seededFileDigest(32, fileBytes))
    expect(await second.text('#bytes')).toBe(String(fileBytes))
    await second.close()
  }, 150_000)
})
