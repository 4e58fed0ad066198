import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { SecureContext } from 'node:tls'
import { yamux } from '@chainsafe/libp2p-yamux'
import { mplex } from '@libp2p/mplex'
import { multiaddr } from '@multiformats/multiaddr'
import { doorOfConnection } from '#src/p2p/door/front-doors.ts'
import { readCertificatePair } from '#src/p2p/web/certificate-pair.ts'
import { makeAuthority } from '#test/support/certificates.ts'
import { startLoadBalancer } from '#test/support/load-balancer.ts'
import { certificateShown, openTls, startTlsTunnel } from '#test/support/tls-client.ts'
import { echoed, startClient, startFront, until } from '#test/unit/p2p/front-under-test.ts'
import { rawSocket as openRaw, startWeb, upgradeRequest } from '#test/unit/p2p/web-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const contexts = new Map<string, SecureContext>()
/** Certificates as the door is given them: of two names, the first one for everybody else. */
const certificates = {
  contextFor: (name: string | undefined) =>
    contexts.get(name === 'node1.test' ? name : 'node0.test') as SecureContext,
  load: async () => {},
  names: ['node0.test', 'node1.test'],
}
beforeAll(async () => {
  const authority = await makeAuthority()
  for (const name of certificates.names) {
    const { cert, key } = await authority.issue([name])
    contexts.set(name, readCertificatePair(cert, key, Date.now()).context)
  }
})

async function web(options: Parameters<typeof startWeb>[1] = {}, handler = () => new Response('fine')) {
  const started = await startWeb(handler, { tls: certificates, ...options })
  stops.push(started.stop)
  return started
}

async function front(options: Parameters<typeof startFront>[0] = {}) {
  const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/tls/ws']
  const started = await startFront({ listen, certificates, ...options })
  stops.push(started.stop)
  return started
}

function raw(port: number, localAddress?: string) {
  const opened = openRaw(port, localAddress)
  stops.push(opened.stop)
  return opened
}

async function tunnelTo(port: number) {
  const tunnel = await startTlsTunnel(port)
  stops.push(tunnel.stop)
  return multiaddr(`/ip4/127.0.0.1/tcp/${tunnel.port}/ws`)
}

async function asked(port: number, servername?: string, path = '/'): Promise<string> {
  const socket = await openTls(port, servername === undefined ? {} : { servername })
  let text = ''
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString()
  })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  await once(socket, 'close')
  return text
}

for (const [name, muxer] of [
  ['yamux', yamux()],
  ['mplex', mplex()],
] as const) {
  test(`libp2p over WebSocket and HTTP share one TLS port, ${name}`, async () => {
    const { front: host, port, ws } = await front()
    expect(ws.toString()).toMatch(/\/tls\/ws(\/p2p\/|$)/)
    const client = await startClient(muxer)
    stops.push(() => client.stop())
    const bytes = randomBytes(3 * 1024 * 1024)
    expect((await echoed(client, await tunnelTo(port), bytes)).equals(bytes)).toBe(true)
    const [connection] = host.node.getConnections()
    expect(connection?.remoteAddr.toString()).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/tls\/ws/)
    expect(connection && doorOfConnection(connection.remoteAddr)).toBe('wss')
    expect(await asked(port, undefined, '/healthz')).toEndWith('/healthz for 127.0.0.1')
  })
}

test('a client gets the certificate of the name that it asks for', async () => {
  const { port } = await web()
  const names = ['node0.test', 'node1.test', 'other.test', undefined]
  const shown = await Promise.all(names.map((name) => certificateShown(port, name)))
  expect(shown).toEqual(['node0.test', 'node1.test', 'node0.test', 'node0.test'])
})

test('another certificate is given to the next client, and those that are there keep theirs', async () => {
  const { port } = await web()
  const socket = await openTls(port)
  const kept = new Map(contexts)
  contexts.set('node0.test', kept.get('node1.test') as SecureContext)
  try {
    expect(await certificateShown(port)).toBe('node1.test')
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(String(await once(socket, 'data'))).toContain('200 OK')
    expect(String(socket.getPeerCertificate().subject.CN)).toBe('node0.test')
  } finally {
    contexts.set('node0.test', kept.get('node0.test') as SecureContext)
    socket.destroy()
  }
})

describe('a handshake', () => {
  test.each([
    ['noise', randomBytes(600)],
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a record that claims to be long and is not TLS', Buffer.from([22, 3, 1, 0, 5, 9, 9, 9, 9, 9])],
  ])('of %s ends at once and is counted', async (_what, bytes) => {
    const { port, gate, refusals } = await web()
    const client = raw(port)
    client.socket.write(bytes)
    await client.closed
    await until(() => gate.open === 0 && gate.addresses === 0)
    expect(refusals).toEqual(['bad-tls-handshake'])
    expect(await asked(port)).toEndWith('fine')
  })

  test('below TLS 1.2 is refused', async () => {
    const { port, refusals } = await web()
    const old = openTls(port, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' })
    await expect(old).rejects.toThrow()
    await until(() => refusals.length === 1)
    expect((await openTls(port, { maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2')
  })

  test('that nobody goes on with has a time limit', async () => {
    const { port, gate, refusals } = await web({ handshakeTimeoutMs: 300 })
    const begun = performance.now()
    const silent = raw(port)
    silent.socket.write(Buffer.from([22, 3, 1, 1, 0, 1]))
    // One byte now and then must not buy time.
    const slow = raw(port)
    slow.socket.write(Buffer.from([22, 3, 1, 1, 0, 1]))
    const drip = setInterval(() => slow.socket.write(Buffer.from([0])), 20)
    await Promise.all([silent.closed, slow.closed])
    clearInterval(drip)
    expect(performance.now() - begun).toBeWithin(250, 3_000)
    await until(() => gate.open === 0 && gate.addresses === 0)
    expect(refusals).toEqual(['bad-tls-handshake', 'bad-tls-handshake'])
  })

  test('that is never begun is a check of the port, and no refusal', async () => {
    const { port, gate, refusals } = await web()
    const check = raw(port)
    await once(check.socket, 'connect')
    await until(() => gate.open === 1)
    check.socket.end()
    await until(() => gate.open === 0)
    expect(refusals).toEqual([])
  })

  test('counts for its address from the first byte: a flood fills its own share and leaves others theirs', async () => {
    const { port, gate, refusals } = await web({
      handshakeTimeoutMs: 600,
      limits: { maxConnections: 100, maxConnectionsPerAddress: 20 },
    })
    const flood = Array.from({ length: 200 }, () => raw(port, '127.0.0.2'))
    for (const { socket } of flood) socket.write(Buffer.from([22, 3, 1, 1, 0]))
    await until(() => refusals.length >= 180)
    expect(gate.open).toBeLessThanOrEqual(20)
    expect(await asked(port)).toEndWith('fine')
    await Promise.all(flood.map(({ closed }) => closed))
    await until(() => gate.open === 0 && gate.addresses === 0)
    expect(refusals.filter((reason) => reason === 'too-many-connections-per-address')).toHaveLength(180)
    expect(refusals.filter((reason) => reason === 'bad-tls-handshake')).toHaveLength(20)
  })
})

describe('behind TLS', () => {
  const short = { headMs: 200, bodyMs: 200, stallMs: 200 }

  test('a slow request, and a WebSocket that says nothing, have a time limit', async () => {
    const { port, gate } = await web({ turns: short })
    const slow = await openTls(port)
    slow.write('GET / HTTP/1.1\r\nHost: x\r\n')
    const idle = await openTls(port)
    const silent = await openTls(port)
    silent.write(upgradeRequest())
    expect(String(await once(silent, 'data'))).toStartWith('HTTP/1.1 101')
    await until(() => gate.open === 0)
    for (const socket of [slow, idle, silent]) socket.destroy()
  })

  test('who does not read an answer is closed, and who reads slowly is not', async () => {
    const endless = () =>
      new Response(new ReadableStream<Uint8Array>({ pull: (to) => to.enqueue(new Uint8Array(65_536)) }))
    const { port, gate } = await web({ turns: { ...short, stallMs: 400 } }, endless)
    const stalled = await openTls(port)
    stalled.pause()
    const slow = await openTls(port)
    let read = 0
    slow.on('data', (bytes: Buffer) => {
      read += bytes.length
      slow.pause()
      setTimeout(() => slow.resume(), 2)
    })
    for (const socket of [stalled, slow]) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => gate.open === 1)
    const before = read
    await until(() => read > before + 4 * 1024 * 1024)
    expect(gate.open).toBe(1)
    slow.destroy()
    await until(() => gate.open === 0)
    stalled.destroy()
  })

  test('stopping ends handshakes, requests and WebSockets at once', async () => {
    const { port, gate, stop } = await startWeb(() => new Response('fine'), { tls: certificates })
    raw(port).socket.write(Buffer.from([22, 3, 1]))
    const sockets = [await openTls(port), await openTls(port)]
    sockets[1]?.write(upgradeRequest())
    await until(() => gate.open === 3)
    const closed = sockets.map((socket) => once(socket.resume(), 'close'))
    await stop()
    await Promise.all(closed)
    await until(() => gate.open === 0 && gate.addresses === 0)
  })
})

describe('behind a PROXY header', () => {
  const header = 'PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n'
  const proxied = { proxyProtocol: true, trusted: ['127.0.0.1/32'] }

  test('that comes in one piece with the hello the client is who it says, and gets what it asks for', async () => {
    const { front: host, port } = await front({ proxies: { trusted: ['127.0.0.1/32'], protocol: ['ws'] } })
    const balancer = await startLoadBalancer(port, (first) => Buffer.concat([Buffer.from(header), first]))
    stops.push(balancer.stop)
    expect(await certificateShown(balancer.port, 'node1.test')).toBe('node1.test')
    expect(await certificateShown(balancer.port)).toBe('node0.test')
    expect(await asked(balancer.port, undefined, '/x')).toEndWith('/x for 192.0.2.7')
    const client = await startClient()
    stops.push(() => client.stop())
    const bytes = randomBytes(8 * 1024 * 1024)
    expect((await echoed(client, await tunnelTo(balancer.port), bytes)).equals(bytes)).toBe(true)
    const [connection] = host.node.getConnections()
    expect(connection?.remoteAddr.decapsulate('/p2p').toString()).toBe('/ip4/192.0.2.7/tcp/4711/tls/ws')
  })

  test('a hello that comes bit by bit is read whole', async () => {
    const { port, refusals } = await web(proxied)
    const dripping = createServer((client) => {
      const far = connect(port, '127.0.0.1')
      far.on('error', () => {})
      client.on('error', () => {})
      client.once('data', async (hello: Buffer) => {
        far.write(Buffer.concat([Buffer.from(header), hello.subarray(0, 1)]))
        for (let at = 1; at < hello.length; at += 40) {
          await new Promise((resolve) => setTimeout(resolve, 2))
          far.write(hello.subarray(at, at + 40))
        }
        client.pipe(far).pipe(client)
      })
      client.once('close', () => far.destroy())
    }).listen(0, '127.0.0.1')
    await once(dripping, 'listening')
    stops.push(() => dripping.close())
    const at = (dripping.address() as AddressInfo).port
    expect(await asked(at)).toEndWith('fine')
    expect(refusals).toEqual([])
    expect(await certificateShown(at, 'node1.test')).toBe('node1.test')
  })

  test('that nothing comes after is a check of the port, and no refusal', async () => {
    const { port, gate, refusals } = await web(proxied)
    const check = raw(port)
    check.socket.end(header)
    await check.closed
    await until(() => gate.open === 0)
    expect(refusals).toEqual([])
  })

  test('noise, silence and half a hello end, in time, and are counted', async () => {
    const { port, gate, refusals } = await web({ ...proxied, handshakeTimeoutMs: 200 })
    const clients = [randomBytes(600), Buffer.from([22, 3, 1, 1, 0, 1]), Buffer.alloc(0)].map((bytes) => {
      const client = raw(port)
      client.socket.write(Buffer.concat([Buffer.from(header), bytes]))
      return client
    })
    await Promise.all(clients.map(({ closed }) => closed))
    await until(() => gate.open === 0 && gate.addresses === 0)
    expect(refusals).toEqual(Array.from({ length: 3 }, () => 'bad-tls-handshake'))
  })
})
