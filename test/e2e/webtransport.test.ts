import { afterAll, describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clockSkewMs, makeCertificate, validMs } from '#src/p2p/webtransport/certificate.ts'
import { bundleForBrowser } from '#test/support/browser-bundle.ts'
import { chromiumAvailable, startChromium } from '#test/support/chromium.ts'
import { type EdgeProcess, poll, runEdgeToItsEnd, startEdgeProcess } from '#test/support/edge.ts'
import { goAvailable, startGoServe } from '#test/support/go-peer.ts'
import { socketsOn } from '#test/support/udp-sockets.ts'

/**
 * The WebTransport door of the executable, with js-libp2p's own client in Chromium. The certificates in the data
 * directory are such that they change within the test.
 */
const listen = '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/ws,/ip4/127.0.0.1/udp/0/quic-v1/webtransport'
const announced = '/dns4/node0.example.net/udp/4004/quic-v1/webtransport'
const mebibyte = 1024 * 1024

const stops: Array<() => unknown> = []
afterAll(async () => {
  for (const stop of stops.reverse()) await stop()
})

async function dataDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kitsune-wt-'))
  stops.push(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Makes certificates that change at `atMs`. */
async function certificatesUntil(dataDir: string, atMs: number): Promise<void> {
  const directory = join(dataDir, 'webtransport')
  await mkdir(directory, { mode: 0o700 })
  for (const startMs of [atMs + clockSkewMs - validMs, atMs - clockSkewMs]) {
    await writeFile(join(directory, `${startMs / 1_000}.pem`), await makeCertificate(startMs), {
      mode: 0o600,
    })
  }
}

async function edgeWith(backends: string[], env: Record<string, string>): Promise<EdgeProcess> {
  const edge = await startEdgeProcess({ from: 'binary', backends, env: { KITSUNE_LISTEN: listen, ...env } })
  stops.push(() => edge.stop())
  return edge
}

function doorOf(edge: EdgeProcess): string {
  const { listening } = edge.process.ready as unknown as { listening: string[] }
  return listening.find((address) => address.includes('/webtransport')) ?? ''
}

/** A page, its script, and `/rolled`, which is answered when the test says so. */
function startPages(script: string): { readonly origin: string; roll(): void } {
  const rolled = Promise.withResolvers<void>()
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/rolled') await rolled.promise
      if (pathname !== '/') return new Response(script, { headers: { 'content-type': 'text/javascript' } })
      const html = '<!doctype html><script type="module" src="/page.js"></script>'
      return new Response(html, { headers: { 'content-type': 'text/html' } })
    },
  })
  stops.push(() => server.stop(true))
  return { origin: `http://127.0.0.1:${server.port}`, roll: rolled.resolve }
}

describe.skipIf(!chromiumAvailable() || !goAvailable())('in Chromium', () => {
  test('dial, identify, 64 MiB, half-close, 400 streams, and a certificate that changes meanwhile', async () => {
    const [dataDir, backend] = await Promise.all([
      dataDirectory(),
      startGoServe({ fileBytes: 64 * mebibyte, fileSeed: 64 }),
    ])
    stops.push(() => backend.stop())
    const script = await bundleForBrowser(join(import.meta.dirname, 'browser', 'webtransport-page.ts'))
    const browser = await startChromium({ quic: true })
    stops.push(() => browser.stop())
    const rollAtMs = Math.ceil(Date.now() / 1_000) * 1_000 + 30_000
    await certificatesUntil(dataDir, rollAtMs)
    const edge = await edgeWith([backend.rpc], { KITSUNE_DATA_DIR: dataDir, KITSUNE_ANNOUNCE: announced })
    await edge.untilReady()

    const pages = startPages(script)
    const plan = encodeURIComponent(JSON.stringify({ dial: doorOf(edge), cat: backend.root }))
    const page = await browser.open(`${pages.origin}/#${plan}`)
    const failed = page.text('#failed', 240_000)
    const told = async (id: string): Promise<Record<string, unknown>> => {
      const fault = failed.then((text) => Promise.reject(new Error(text)))
      fault.catch(() => {})
      return JSON.parse(await Promise.race([page.text(`#${id}`, 90_000), fault]))
    }
    const identified = await told('identified')
    const suffix = /\/certhash\/.*(?=\/p2p\/)/.exec(doorOf(edge))?.[0]
    expect(identified).toMatchObject({ agentVersion: expect.stringMatching(/^kitsune\//) })
    expect(identified.listenAddrs).toEqual([expect.stringContaining(`${announced}${suffix}`)])
    expect(await told('fetched')).toMatchObject({ bytes: 64 * mebibyte })
    expect(await told('streams')).toMatchObject({ answered: 400 })
    expect((await edge.metrics()).sum('kitsune_connections', { transport: 'webtransport' })).toBe(1)

    expect(Date.now()).toBeLessThan(rollAtMs)
    // The server after the roll is there, beside the one that keeps the page.
    const port = Number(/\/udp\/(\d+)/.exec(doorOf(edge))?.[1])
    await poll(
      async () => socketsOn(port),
      (sockets) => sockets === 2,
      rollAtMs + 15_000 - Date.now(),
    )
    expect(Date.now()).toBeGreaterThanOrEqual(rollAtMs)
    pages.roll()
    const rolled = await told('rolled')
    expect(rolled).toMatchObject({ status: 'open', bytes: 32, redialled: 'open', connections: 1 })
    const next = suffix?.split('/').at(-1)
    expect(rolled.listenAddrs).toEqual([expect.stringContaining(`${announced}/certhash/${next}/certhash/`)])
    // With clients on both servers of the port.
    expect(await edge.end()).toBe(0)
  }, 240_000)
})

test('the address is the same after a restart', async () => {
  const dataDir = await dataDirectory()
  const addresses: string[] = []
  for (let start = 0; start < 2; start++) {
    const edge = await edgeWith(['http://127.0.0.1:9'], { KITSUNE_DATA_DIR: dataDir })
    addresses.push(doorOf(edge).replace(/\/udp\/\d+/, ''))
    expect(await edge.end()).toBe(0)
  }
  expect(addresses[0]).toMatch(/\/webtransport\/certhash\/\w[\w-]+\/certhash\/\w[\w-]+\/p2p\//)
  expect(addresses[1]).toBe(addresses[0] ?? '')
}, 60_000)

test('where it cannot be opened the start says so, and does without it if that is allowed', async () => {
  const dataDir = await dataDirectory()
  await writeFile(join(dataDir, 'webtransport'), 'no directory')
  const env = {
    KITSUNE_BACKENDS: 'http://127.0.0.1:9',
    KITSUNE_DATA_DIR: dataDir,
    KITSUNE_LISTEN: listen,
  }
  const refused = await runEdgeToItsEnd({ from: 'binary', env })
  expect(refused.outcome).not.toBe(0)
  expect(refused.stderr + refused.stdout).toContain('/quic-v1/webtransport')
  expect(refused.stderr + refused.stdout).toMatch(/cannot be (written|read)/)
  const edge = await edgeWith(['http://127.0.0.1:9'], {
    KITSUNE_DATA_DIR: dataDir,
    KITSUNE_LISTEN_OPTIONAL: 'webtransport',
  })
  expect(doorOf(edge)).toBe('')
  expect(await readFile(join(dataDir, 'webtransport'), 'utf8')).toBe('no directory')
}, 60_000)
