import { afterEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { addressGroup, remoteHost } from '#src/p2p/addresses.ts'
import { startLoadBalancer } from '#test/support/load-balancer.ts'
import { proxyBinary, proxyLine } from '#test/support/proxy-header.ts'
import {
  echoed,
  type FrontUnderTest,
  startClient,
  startFront,
  until,
} from '#test/unit/p2p/front-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const proxies = { trusted: ['127.0.0.1/32'], protocol: ['tcp', 'ws'] } as const
const server = { host: '198.51.100.1', port: 443 }
const client = { host: '192.0.2.1', port: 50_000 }

async function front(...args: Parameters<typeof startFront>): Promise<FrontUnderTest> {
  const started = await startFront({ proxies, ...args[0] })
  stops.push(started.stop)
  return started
}

function portOf(address: Multiaddr): number {
  return Number(address.getComponents()[1]?.value)
}

/** Connects a client through a load balancer that says `header`; resolves with what it is taken for. */
async function through(started: FrontUnderTest, kind: 'tcp' | 'ws', header: Uint8Array): Promise<string> {
  const balancer = await startLoadBalancer(portOf(started[kind]), (first) => Buffer.concat([header, first]))
  stops.push(balancer.stop)
  const node = await startClient()
  stops.push(() => node.stop())
  const bytes = randomBytes(300_000)
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${balancer.port}${kind === 'ws' ? '/ws' : ''}`)
  expect((await echoed(node, address, bytes)).equals(bytes)).toBe(true)
  const connection = started.front.node.getConnections(node.peerId)[0]
  return connection?.remoteAddr.decapsulate('/p2p').toString() ?? 'gone'
}

interface Raw {
  readonly socket: Socket
  readonly closed: Promise<unknown>
}

function raw(address: Multiaddr, localAddress = '127.0.0.1'): Raw {
  const socket = connect({ port: portOf(address), host: '127.0.0.1', localAddress })
  socket.on('error', () => {})
  socket.resume()
  stops.push(() => socket.destroy())
  return { socket, closed: new Promise((resolve) => socket.once('close', resolve)) }
}

const ipv6 = { host: '2001:db8:0:0:0:0:0:1', port: 7 }

describe.each(['tcp', 'ws'] as const)('the PROXY protocol on %s', (kind) => {
  const suffix = kind === 'ws' ? '/ws' : ''

  test.each<[string, Uint8Array, string]>([
    ['version 1', proxyLine(client, server), `/ip4/192.0.2.1/tcp/50000${suffix}`],
    ['version 2', proxyBinary(client, server), `/ip4/192.0.2.1/tcp/50000${suffix}`],
    ['IPv6', proxyBinary(ipv6, ipv6), `/ip6/2001:db8::1/tcp/7${suffix}`],
    [
      'IPv4 in the form of IPv6',
      proxyLine({ host: '::ffff:192.0.2.1', port: 1 }, ipv6),
      `/ip4/192.0.2.1/tcp/1${suffix}`,
    ],
  ])('%s names the client', async (_, header, remoteAddr) => {
    expect(await through(await front(), kind, header)).toBe(remoteAddr)
  })

  test('LOCAL and UNKNOWN are the load balancer itself', async () => {
    const started = await front()
    for (const header of [proxyBinary(client, server, { command: 0 }), Buffer.from('PROXY UNKNOWN\r\n')]) {
      expect(await through(started, kind, header)).toMatch(/^\/ip4\/127\.0\.0\.1\//)
    }
  })

  test('limits hold for the client, not for the load balancer, and end with the socket', async () => {
    const started = await front({ limits: { maxConnectionsPerAddress: 1 } })
    const { gate, refusals } = started
    const first = raw(started[kind])
    first.socket.write(proxyLine(client, server))
    await until(() => gate.addresses === 1)
    const second = raw(started[kind])
    second.socket.write(proxyBinary({ ...client, port: 9 }, server))
    await second.closed
    expect(refusals).toEqual(['too-many-connections-per-address'])
    const other = raw(started[kind])
    other.socket.write(proxyBinary({ host: '192.0.2.2', port: 9 }, server))
    await until(() => gate.addresses === 2)
    first.socket.destroy()
    other.socket.destroy()
    await until(() => gate.open === 0 && gate.addresses === 0)
  })

  test.each<[string, Uint8Array]>([
    ['none', Buffer.from('\x13/multistream/1.0.0\n')],
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a malformed one', Buffer.from('PROXY TCP4 192.0.2.1\r\n')],
    ['a line that never ends', Buffer.alloc(108, 'PROXY TCP4 ')],
    ['one of absurd length', proxyBinary(client, server, { addresses: new Uint8Array(60_000) })],
  ])('%s in place of the header: closed and counted, and nobody else is harmed', async (_, bytes) => {
    const started = await front()
    const { socket, closed } = raw(started[kind])
    socket.write(bytes)
    await closed
    await until(() => started.gate.open === 0)
    expect(started.refusals).toEqual(['bad-proxy-header'])
    await through(started, kind, proxyLine(client, server))
  })

  test('a header that is cut off is counted, a look whether the port is open is not', async () => {
    const started = await front()
    const look = raw(started[kind])
    look.socket.end()
    await look.closed
    const half = raw(started[kind])
    half.socket.end('PROXY TCP4 192.0.2.1')
    await half.closed
    await until(() => started.refusals.length > 0)
    expect(started.refusals).toEqual(['bad-proxy-header'])
  })

  test('whoever is not trusted is closed unread, whatever he says, and is in no count', async () => {
    const started = await front({ limits: { maxConnections: 1 } })
    const stranger = raw(started[kind], '127.0.0.2')
    stranger.socket.write(proxyLine(client, server))
    await stranger.closed
    expect([started.refusals, started.gate.open]).toEqual([['untrusted-proxy'], 0])
  })

  test('sockets that owe a header are bounded in all', async () => {
    const started = await front({ limits: { maxConnections: 3, maxConnectionsPerAddress: 1 } })
    const owing = Array.from({ length: 3 }, () => raw(started[kind]))
    for (const { socket } of owing) socket.write('P')
    await until(() => started.gate.open === 3)
    expect(started.gate.addresses).toBe(0)
    const more = raw(started[kind])
    more.socket.write('P')
    await more.closed
    expect(started.refusals).toEqual(['too-many-connections'])
  })

  test('half a header has a deadline, and stopping does not wait for it', async () => {
    const started = await front({ proxies: { ...proxies, headerTimeoutMs: 200 } })
    const half = raw(started[kind])
    half.socket.write('PROXY TCP4')
    await half.closed
    expect(started.refusals).toEqual(['bad-proxy-header'])
  })

  test('a slow header passes within its deadline', async () => {
    const started = await front()
    const { socket } = raw(started[kind])
    socket.setNoDelay(true)
    for (const byte of proxyBinary(client, server)) {
      await new Promise<void>((resolve) => socket.write(Uint8Array.of(byte), () => resolve()))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => started.gate.addresses === 1)
    expect(started.refusals).toEqual([])
  })

  test('nobody comes in while draining', async () => {
    const started = await front()
    started.gate.close()
    const late = raw(started[kind])
    late.socket.write(proxyLine(client, server))
    await late.closed
    expect(started.refusals).toEqual(['draining'])
  })
})

test('one listener may want headers and the other none', async () => {
  const started = await front({ proxies: { trusted: ['127.0.0.1/32'], protocol: ['tcp'] } })
  expect(await through(started, 'ws', new Uint8Array(0))).toMatch(/^\/ip4\/127\.0\.0\.1\//)
  expect(await through(started, 'tcp', proxyLine(client, server))).toBe('/ip4/192.0.2.1/tcp/50000')
})

test.each(['tcp', 'ws'] as const)(
  'an address over its limit takes nobody else a place, over %s',
  async (kind) => {
    const started = await front({
      proxies: { trusted: [], protocol: [] },
      limits: { maxConnections: 12, maxConnectionsPerAddress: 10 },
    })
    for (let i = 0; i < 40; i++) raw(started[kind]).socket.write('G')
    await until(() => started.gate.open === 10 && started.refusals.length === 30)
    expect(new Set(started.refusals)).toEqual(new Set(['too-many-connections-per-address']))
  },
)

test('without the PROXY protocol a trusted address on the TCP port is a client like any other', async () => {
  const started = await front({
    proxies: { trusted: ['127.0.0.1/32'], protocol: [] },
    limits: { maxConnectionsPerAddress: 1 },
  })
  raw(started.tcp).socket.write('\x13')
  await until(() => started.gate.addresses === 1)
  const second = raw(started.tcp)
  second.socket.write('\x13')
  await second.closed
  expect(started.refusals).toEqual(['too-many-connections-per-address'])
})

test("a connection's address group is its client's", async () => {
  const started = await front()
  await through(started, 'tcp', proxyBinary(ipv6, ipv6))
  const [connection] = started.front.node.getConnections()
  expect(connection && addressGroup(remoteHost(connection.remoteAddr))).toBe('2001:db8:0:0::/64')
})

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'))

// Without it there is no second listener to get in the way of.
test.skipIf(!hasIpv6)('IPv4 and IPv6 listen on one port, each for its own', async () => {
  const nobody = { trusted: [], protocol: [] }
  const ip4 = await front({ proxies: nobody, listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/0.0.0.0/tcp/0/ws'] })
  const webPort = ip4.front.listening().find((address) => `${address}`.endsWith('/ws'))
  const [tcp, web] = [portOf(ip4.tcp), webPort === undefined ? 0 : portOf(webPort)]
  await front({ proxies: nobody, listen: [`/ip6/::/tcp/${tcp}`, `/ip6/::/tcp/${web}/ws`] })
  const node = await startClient()
  stops.push(() => node.stop())
  const bytes = Buffer.from('over IPv6')
  expect((await echoed(node, multiaddr(`/ip6/::1/tcp/${tcp}`), bytes)).equals(bytes)).toBe(true)
  expect(await (await fetch(`http://[::1]:${web}/x`)).text()).toBe('/x for ::1')
  expect(await (await fetch(`http://127.0.0.1:${web}/x`)).text()).toBe('/x for 127.0.0.1')
})
