import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensureBinary } from '#test/support/binary.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { type EdgeProcess, poll } from '#test/support/edge.ts'
import { goLoad } from '#test/support/go-load.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { installJsIpfs, type JsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { startHaproxy } from '#test/support/proxies.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'
import { opensslAvailable } from '#test/support/tls-door.ts'
import { makeTlsPlace, startTlsEdge, type TlsPlace } from '#test/support/tls-edge.ts'

/**
 * One port with TLS, as the field dials it: libp2p over wss and the HTTP API over https, by real clients that check
 * certificates against an authority of the test.
 */
const fileBytes = 4 * 1024 * 1024
const load = { blocks: 256, blockBytes: 256 * 1024, blockSeed: 5 }
const run = promisify(execFile)

describe.skipIf(!requirePeer('go'))('the web port with TLS', () => {
  let place: TlsPlace
  let backend: GoServe
  let edge: EdgeProcess
  let wss: string
  let port: number
  let http: string

  beforeAll(async () => {
    await goBinary()
    await ensureBinary()
    place = await makeTlsPlace()
    const tokens = join(place.at, 'acme', '.well-known', 'acme-challenge')
    await mkdir(tokens, { recursive: true })
    await writeFile(join(tokens, 'token-1'), 'token-1.thumbprint')
    backend = await startGoServe({ ...load, fileBytes, fileSeed: 3, muxers: 'yamux,mplex' })
    const started = await startTlsEdge(place, backend.rpc, {
      KITSUNE_HTTP_LISTEN: '127.0.0.1:0',
      KITSUNE_ACME_WEBROOT: join(place.at, 'acme'),
    })
    edge = started.edge
    wss = started.wss
    port = started.wssPort
    await edge.untilReady()
    const [listening = ''] = edge.process.ready.http as string[]
    http = `http://127.0.0.1:${listening.split('/').at(-1)}`
  }, 300_000)
  afterAll(async () => {
    await edge?.stop()
    await backend?.stop()
    await place?.stop()
  })

  const https = (path: string, init: RequestInit = {}) =>
    fetch(`https://localhost:${port}${path}`, { ...init, tls: { ca: place.authority.cert } } as RequestInit)

  test('serves health and the API by https', async () => {
    const health = await https('/healthz')
    expect([health.status, await health.text()]).toEqual([200, 'ok'])
    const refs = await https(`/api/v0/refs?arg=${backend.root}&recursive=true`, { method: 'POST' })
    const lines = (await refs.text()).trim().split('\n')
    expect([refs.status, lines.length, lines.every((line) => JSON.parse(line).Err === '')]).toEqual([
      200,
      16,
      true,
    ])
  }, 30_000)

  describe.skipIf(!requirePeer('js-ipfs'))('to js-ipfs', () => {
    let page: JsIpfs
    beforeAll(async () => {
      await installJsIpfs()
      page = await startJsIpfs({ preload: [`/dns4/localhost/tcp/${port}/https`] })
      await page.connect(`/dns4/localhost/tcp/${port}/wss/p2p/${edge.peerId}`)
    }, 120_000)
    afterAll(() => page?.stop())

    test('gives a file by wss', async () => {
      expect((await page.cat(backend.root ?? '')).sha256).toBe(seededFileDigest(3, fileBytes))
      const metrics = await edge.metrics()
      expect(metrics.sum('kitsune_connections', { transport: 'wss' })).toBe(1)
    }, 30_000)

    test('takes what it adds, asked by https', async () => {
      const added = await page.add({ bytes: 2 * 1024 * 1024, seed: 77 })
      expect(await page.preloaded(added.cid, 30_000)).toMatchObject({ ok: true, status: 200 })
      const there = await fetch(`${backend.rpc}/api/v0/block/get?arg=${added.cid}&offline=true`, {
        method: 'POST',
      })
      expect(there.status).toBe(200)
    }, 60_000)
  })

  test('serves go-libp2p by wss', async () => {
    const result = await goFetch({ peer: wss, cid: backend.root ?? '' })
    expect(result.sha256).toBe(seededFileDigest(3, fileBytes))
    const bulk = await goLoad({ peer: wss, ...load, clients: 4, muxers: 'mplex' })
    expect(bulk).toMatchObject({ blocks: load.blocks, lost: 0, wrong: 0, errors: 0, disconnects: 0 })
  }, 60_000)

  test("serves Node's ws client", async () => {
    const script = `
      import WebSocket from 'ws'
      const hello = Buffer.from('\\x13/multistream/1.0.0\\n')
      const socket = new WebSocket('wss://localhost:${port}')
      socket.on('open', () => socket.send(hello))
      socket.on('message', (bytes) => { console.log(bytes.equals(hello), socket._socket.getProtocol()); socket.close() })
      socket.on('error', (error) => console.log(error.message))`
    const { stdout } = await run('node', ['--input-type=module', '-e', script], { cwd: repositoryRoot })
    expect(stdout.trim()).toBe('true TLSv1.3')
  }, 20_000)

  describe.skipIf(!opensslAvailable())('to openssl', () => {
    async function openssl(...args: string[]): Promise<string> {
      const command = [
        's_client',
        '-connect',
        `127.0.0.1:${port}`,
        '-CAfile',
        join(place.at, 'authority.crt'),
        ...args,
      ]
      const child = run('openssl', command)
      child.child.stdin?.end('Q\n')
      const { stdout, stderr } = await child.catch((failure) => failure)
      return `${stdout}\n${stderr}`
    }

    test('shows the certificate of the name that is asked for, with its chain', async () => {
      const text = await openssl(
        '-servername',
        'a.other.test',
        '-verify_hostname',
        'a.other.test',
        '-showcerts',
      )
      expect(text).toContain('Verify return code: 0 (ok)')
      expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
      expect(await openssl('-servername', 'nobody.test')).toContain('subject=CN = localhost')
      expect(await openssl('-noservername')).toContain('subject=CN = localhost')
    })

    test.each([
      ['-tls1_3', 'TLSv1.3'],
      ['-tls1_2', 'TLSv1.2'],
    ])('speaks by %s and resumes sessions', async (flag, version) => {
      const text = await openssl(flag)
      expect(text).toContain(`New, ${version}, Cipher is`)
      expect(text).toMatch(/Cipher is (ECDHE|TLS)_?-?.*(GCM|CHACHA20)/)
      if (flag === '-tls1_2') expect(await openssl(flag, '-reconnect')).toContain(`Reused, ${version}`)
    })

    test.each([
      ['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']],
      ['TLS 1.0', ['-tls1', '-cipher', 'ALL:@SECLEVEL=0']],
      ['a cipher without forward secrecy', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256']],
      ['a cipher without AEAD', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA']],
    ])('refuses %s', async (_what, args) => {
      expect(await openssl(...args)).toContain('Cipher is (NONE)')
    })
  })

  test('redirects plain HTTP, and answers what an authority asks there', async () => {
    const token = await fetch(`${http}/.well-known/acme-challenge/token-1`)
    expect([token.status, await token.text()]).toEqual([200, 'token-1.thumbprint'])
    expect((await fetch(`${http}/.well-known/acme-challenge/..%2f..%2f..%2ffirst.key`)).status).toBe(404)
    expect((await fetch(`${http}/healthz`)).status).toBe(200)
    const redirect = await fetch(`${http}/api/v0/id?x=1`, { method: 'POST', redirect: 'manual' })
    expect([redirect.status, redirect.headers.get('location')]).toEqual([
      308,
      `https://127.0.0.1:${port}/api/v0/id?x=1`,
    ])
    const upgrade = await fetch(http, {
      redirect: 'manual',
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    })
    expect(upgrade.status).toBe(308)
  })

  describe.skipIf(!requirePeer('haproxy')).each([1, 2] as const)(
    'behind HAProxy, PROXY protocol %d',
    (version) => {
      test('clients get everything, and none is refused', async () => {
        const {
          edge: proxied,
          tcpPort,
          wssPort,
        } = await startTlsEdge(place, backend.rpc, {
          KITSUNE_PROXY_PROTOCOL: 'tcp,ws',
          KITSUNE_TRUSTED_PROXIES: '127.0.0.1',
        })
        const proxy = await startHaproxy({ tcp: tcpPort, web: wssPort }, version, { tls: true })
        try {
          await proxied.untilReady()
          const ask = () =>
            fetch(`https://127.0.0.1:${proxy.web}/healthz`, {
              tls: { ca: place.authority.cert },
            } as RequestInit)
          await poll(ask, ({ status }) => status === 200, 10_000)
          const peer = `/ip4/127.0.0.1/tcp/${proxy.web}/tls/ws/p2p/${proxied.peerId}`
          const bulk = await goLoad({ peer, ...load, clients: 4 })
          expect(bulk).toMatchObject({ blocks: load.blocks, lost: 0, wrong: 0, errors: 0, disconnects: 0 })
          expect((await proxied.metrics()).refused('client')).toEqual({})
        } finally {
          await proxy.stop()
          await proxied.stop()
        }
      }, 60_000)
    },
  )
})
