import { afterEach, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { yamux } from '@chainsafe/libp2p-yamux'
import { defaultLogger } from '@libp2p/logger'
import { mplex } from '@libp2p/mplex'
import { multiaddr } from '@multiformats/multiaddr'
import { WebSocketServer } from 'ws'
import { Gate } from '#src/p2p/door/gater.ts'
import { webDoor } from '#src/p2p/web/web-listener.ts'
import { WebSocketConnection } from '#src/p2p/web/web-socket-connection.ts'
import { startLoadBalancer } from '#test/support/load-balancer.ts'
import {
  echoed,
  type FrontUnderTest,
  startClient,
  startFront,
  until,
} from '#test/unit/p2p/front-under-test.ts'
import { rawSocket as openRaw, startWeb, upgradeRequest } from '#test/unit/p2p/web-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function front(...args: Parameters<typeof startFront>): Promise<FrontUnderTest> {
  const started = await startFront(...args)
  stops.push(started.stop)
  return started
}

function rawSocket(port: number) {
  const opened = openRaw(port)
  stops.push(opened.stop)
  return opened
}

for (const [name, muxer] of [
  ['yamux', yamux()],
  ['mplex', mplex()],
] as const) {
  test(`libp2p over WebSocket and HTTP share one port, ${name}`, async () => {
    const { origin, ws } = await front()
    const client = await startClient(muxer)
    stops.push(() => client.stop())
    const bytes = randomBytes(3 * 1024 * 1024)
    expect((await echoed(client, ws, bytes)).equals(bytes)).toBe(true)
    expect(await (await fetch(`${origin}/healthz?x=1`)).text()).toBe('/healthz for 127.0.0.1')
  })
}

test('a handler that fails answers 500 and nothing of why', async () => {
  const handleRequest = () => Promise.reject(new Error('secret 10.0.0.1'))
  const { origin } = await front({ handleRequest })
  const response = await fetch(origin)
  expect([response.status, await response.text()]).toEqual([500, 'internal error'])
})

test('sockets of HTTP and half-made WebSockets are counted and given back', async () => {
  const { gate, port } = await front()
  const waiting = rawSocket(port)
  // Bun has the kernel hold back a socket until its first byte, or for a second.
  waiting.socket.write('G')
  const upgraded = rawSocket(port)
  upgraded.socket.write(upgradeRequest())
  await until(() => gate.open === 2 && upgraded.received().startsWith('HTTP/1.1 101'))
  waiting.socket.destroy()
  upgraded.socket.destroy()
  await until(() => gate.open === 0 && gate.addresses === 0)
})

test('the gate turns sockets away before HTTP is spoken', async () => {
  const { gate, refusals, port } = await front({ limits: { maxConnections: 1 } })
  rawSocket(port).socket.write('G')
  await until(() => gate.open === 1)
  const second = rawSocket(port)
  second.socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  await second.closed
  expect([second.received(), refusals]).toEqual(['', ['too-many-connections']])
})

test('a WebSocket counts once, not as a socket and as a connection', async () => {
  const { gate, ws } = await front({ limits: { maxConnections: 1 } })
  const client = await startClient()
  stops.push(() => client.stop())
  expect((await echoed(client, ws, Buffer.from('x'))).toString()).toBe('x')
  expect(gate.open).toBe(1)
})

test('what is no HTTP ends the socket and nothing else', async () => {
  const { origin, port, gate } = await front()
  const bad = rawSocket(port)
  bad.socket.write(randomBytes(512))
  bad.socket.end('\r\n\r\n')
  await bad.closed
  expect((await fetch(origin)).status).toBe(200)
  await until(() => gate.open <= 1)
})

test.each([
  ['a check by HTTP/1.0, which names no host', 'GET /healthz HTTP/1.0\r\n\r\n', 200],
  ['an empty host', 'GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', 200],
  ['a host that is none', 'GET /healthz HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n', 400],
  ['a target that is none', 'GET ftp://x/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400],
])('%s is answered by what it is worth', async (_what, request, status) => {
  const { port } = await front()
  const caller = rawSocket(port)
  caller.socket.write(request)
  await caller.closed
  expect(Number(caller.received().split(' ')[1])).toBe(status)
})

test('a query of a mebibyte is answered 431, and no handler hears of it', async () => {
  const asked: string[] = []
  const { origin } = await front({
    handleRequest: (request) => {
      asked.push(request.url)
      return new Response('ok')
    },
  })
  const response = await fetch(`${origin}/api/v0/refs?arg=${'a'.repeat(1024 * 1024)}`)
  expect([response.status, asked]).toEqual([431, []])
})

test('behind a load balancer the connection is from its client', async () => {
  const { front: host, port } = await front({ proxies: { trusted: ['127.0.0.1/32'], protocol: [] } })
  const balancer = await startLoadBalancer(port, (first) =>
    Buffer.from(first.toString('latin1').replace('\r\n', '\r\nX-Forwarded-For: 192.0.2.1\r\n'), 'latin1'),
  )
  stops.push(balancer.stop)
  const client = await startClient()
  stops.push(() => client.stop())
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${balancer.port}/ws`)
  expect((await echoed(client, address, Buffer.from('x'))).toString()).toBe('x')
  const [connection] = host.node.getConnections()
  expect(connection?.remoteAddr.decapsulate('/p2p').toString()).toBe('/ip4/192.0.2.1/tcp/0/ws')
})

test('a message of text ends the connection', async () => {
  const { port } = await front()
  const client = new WebSocket(`ws://127.0.0.1:${port}`)
  await new Promise((resolve) => client.addEventListener('open', resolve))
  const closed = new Promise((resolve) => client.addEventListener('close', resolve))
  client.send('hello')
  await closed
})

test('a message over the limit ends the connection', async () => {
  const { port, gate } = await front()
  const client = new WebSocket(`ws://127.0.0.1:${port}`)
  await new Promise((resolve) => client.addEventListener('open', resolve))
  const closed = new Promise((resolve) => client.addEventListener('close', resolve))
  client.send(new Uint8Array(4 * 1024 * 1024 + 1))
  await closed
  await until(() => gate.open === 0)
})

test('silence in place of headers, or after the upgrade, has a time limit', async () => {
  const { gate, port, stop } = await startWeb(() => new Response(), { turns: { headMs: 200 } })
  stops.push(stop)
  const slow = rawSocket(port)
  slow.socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
  const silent = rawSocket(port)
  silent.socket.write(upgradeRequest())
  await until(() => gate.open === 2)
  await Promise.all([slow.closed, silent.closed])
  await until(() => gate.open === 0)
  expect(silent.received()).toStartWith('HTTP/1.1 101')
})

test('stopping ends idle, half-made and open sockets at once', async () => {
  const started = await startFront()
  rawSocket(started.port).socket.write('G')
  await (await fetch(started.origin)).text()
  const client = await startClient()
  stops.push(() => client.stop())
  await client.dial(started.ws)
  await until(() => started.gate.open === 3)
  await started.stop()
  await until(() => started.gate.open === 0)
  await expect(fetch(started.origin)).rejects.toThrow()
})

test('only plain WebSocket addresses are listened on', async () => {
  const gate = new Gate({ refused: () => {} }, { maxConnections: 1, maxConnectionsPerAddress: 1 })
  const events = new EventTarget() as never
  const transport = webDoor({ gate, trusts: () => false, handleRequest: () => new Response() })({
    logger: defaultLogger(),
    events,
  })
  const all = ['/ip4/0.0.0.0/tcp/1/ws', '/ip6/::/tcp/1/ws', '/ip4/0.0.0.0/tcp/1', '/ip4/0.0.0.0/tcp/1/tls/ws']
  const accepted = transport.listenFilter(all.map((address) => multiaddr(address)))
  expect(accepted.map(String)).toEqual(['/ip4/0.0.0.0/tcp/1/ws', '/ip6/::/tcp/1/ws'])
})

/** A server-side connection and the raw socket of its client, which has read nothing since the upgrade. */
async function connectionPair(): Promise<{ connection: WebSocketConnection; socket: Socket }> {
  const server = createServer()
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<WebSocketConnection>((resolve) => {
    server.on('upgrade', (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (webSocket) =>
        resolve(
          new WebSocketConnection({
            socket: webSocket,
            remoteAddr: multiaddr('/ip4/127.0.0.1/tcp/1/ws'),
            direction: 'inbound',
            log: defaultLogger().forComponent('test'),
          }),
        ),
      ),
    )
  })
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  stops.push(() => {
    socket.destroy()
    server.close()
  })
  socket.write(upgradeRequest())
  await once(socket, 'data')
  socket.pause()
  return { connection: await accepted, socket }
}

test('a client that does not read stops the writer, and starts it again when it reads', async () => {
  const { connection, socket } = await connectionPair()
  const piece = new Uint8Array(256 * 1024)
  let sent = 0
  while (connection.send(piece)) {
    sent++
    if (sent > 400) throw new Error('100 MiB and no end')
    await new Promise((resolve) => setImmediate(resolve))
  }
  const drained = connection.onDrain()
  let received = 0
  socket.on('data', (bytes) => {
    received += bytes.length
  })
  socket.resume()
  await drained
  expect(connection.send(piece)).toBe(true)
  await until(() => received >= (sent + 2) * piece.length)
})

test('a paused connection stops the client', async () => {
  const { connection, socket } = await connectionPair()
  socket.resume()
  let read = 0
  connection.addEventListener('message', (event) => {
    read += event.data.byteLength
  })
  connection.pause()
  // Masked with zeros, so that the payload goes as it is.
  const frame = Buffer.alloc(14 + 65_536)
  frame.writeUInt16BE(0x82ff, 0)
  frame.writeBigUInt64BE(65_536n, 2)
  let frames = 0
  const canWrite = async () =>
    socket.write(frame) ||
    Promise.race([
      once(socket, 'drain').then(() => true),
      new Promise((resolve) => setTimeout(resolve, 500, false)),
    ])
  while (await canWrite()) {
    frames++
    if (frames > 1_000) throw new Error('64 MiB and no end')
  }
  expect(read).toBe(0)
  connection.resume()
  await until(() => read >= (frames + 1) * 65_536)
})
