import { afterEach, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey, StreamMuxerFactory } from '@libp2p/interface'
import { mplex } from '@libp2p/mplex'

import { webSockets } from '@libp2p/websockets'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { makeCertificate } from '#src/p2p/peer-tls/peer-certificate.ts'
import { securityOf } from '#src/p2p/security.ts'
import { quickTcp } from '#src/p2p/tcp/tcp.ts'
import { flood, readFrom, untilStill } from '#test/support/flood.ts'
import { startSocketRelay } from '#test/support/socket-relay.ts'
import { echoed, type FrontUnderTest, startClient, startFront, until } from './front-under-test.ts'

const stops: Array<() => void | Promise<void>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function front(options: Parameters<typeof startFront>[0] = {}): Promise<FrontUnderTest> {
  const started = await startFront(options)
  stops.push(started.stop)
  return started
}

/** Speaks TLS only. */
async function tlsClient(muxer: () => StreamMuxerFactory = yamux()): Promise<Libp2p> {
  const privateKey = await generateKeyPair('Ed25519')
  const node = await createLibp2p({
    privateKey,
    transports: [quickTcp({}), webSockets()],
    streamMuxers: [muxer],
    connectionMonitor: { enabled: false },
    ...(await securityOf({ protocols: ['tls'] })).init,
  })
  stops.push(() => node.stop())
  return node as unknown as Libp2p
}

const doors: readonly ('tcp' | 'ws')[] = ['tcp', 'ws']

test.each(doors)(
  'a client that speaks TLS only comes in by %s, with the muxer agreed on in the handshake',
  async (over) => {
    const { front: host, gate, [over]: address } = await front()
    const client = await tlsClient()
    const connection = await client.dial(address)
    expect([connection.encryption, connection.multiplexer]).toEqual(['/tls/1.0.0', '/yamux/1.0.0'])
    expect(connection.remotePeer.equals(host.node.peerId)).toBe(true)
    await until(() => host.node.getConnections().length === 1)
    const [accepted] = host.node.getConnections()
    expect(accepted?.remotePeer.equals(client.peerId)).toBe(true)
    expect(accepted?.remoteAddr.toString()).toStartWith('/ip4/127.0.0.1/tcp/')
    expect([gate.open, gate.addresses]).toEqual([1, 1])
    await connection.close()
    await until(() => gate.open === 0 && host.node.getConnections().length === 0)
  },
)

test.each(doors)('bytes of all sizes come back over TLS by %s as they went', async (over) => {
  const { [over]: address } = await front()
  const client = await tlsClient()
  for (const size of [1, 4_095, 4_096, 70_000, 4 * 1024 * 1024]) {
    const bytes = randomBytes(size)
    expect((await echoed(client, address, bytes)).equals(bytes)).toBe(true)
  }
})

test('on TCP it is put on the socket itself, once what that takes is there', async () => {
  const { front: host, tcp: address, gate } = await front()
  const first = await tlsClient()
  await (await first.dial(address)).close()
  await until(() => gate.open === 0)
  const second = await tlsClient()
  const bytes = randomBytes(300_000)
  expect((await echoed(second, address, bytes)).equals(bytes)).toBe(true)
  const [accepted] = host.node.getConnections() as unknown as { maConn: { socket: Socket } }[]
  expect(accepted?.maConn.socket).toBeInstanceOf(TLSSocket)
})

test('Noise is answered beside it; what is left out is not spoken', async () => {
  const both = await front()
  const noise = await startClient()
  stops.push(() => noise.stop())
  expect((await noise.dial(both.tcp)).encryption).toBe('/noise')
  const noNoise = await front({ security: { protocols: ['tls'] } })
  await expect(noise.dial(noNoise.tcp)).rejects.toThrow()
  const noTls = await front({ security: { protocols: ['noise'] } })
  await expect((await tlsClient()).dial(noTls.tcp)).rejects.toThrow()
})

/** A way to a port on which nothing is read while it is paused: what was sent stays where it was. */
async function narrowWay(to: Multiaddr): Promise<{ address: Multiaddr; pause(): void; resume(): void }> {
  const port = to.getComponents()[1]?.value ?? ''
  const inside = new Set<Socket>()
  const relay = await startSocketRelay(
    () => connectTcp(Number(port), '127.0.0.1'),
    (outer, inner) => {
      inside.add(inner)
      outer.on('data', (bytes) => inner.write(bytes))
      inner.on('data', (bytes) => outer.write(bytes))
    },
  )
  stops.push(() => relay.stop())
  const address = multiaddr(to.toString().replace(port, String(relay.port)))
  const all = (action: 'pause' | 'resume') => (): void => {
    for (const socket of inside) socket[action]()
  }
  return { address, pause: all('pause'), resume: all('resume') }
}

test.each(doors)('a client by %s that does not read makes the front wait', async (over) => {
  const { front: host, [over]: to } = await front()
  let sent = (): number => 0
  await host.node.handle('/flood/1', (stream) => {
    sent = flood(stream)
  })
  const way = await narrowWay(to)
  // mplex has no windows: what is not taken off the socket is all that makes anybody wait.
  const client = await tlsClient(mplex())
  const stream = await (await client.dial(way.address)).newStream('/flood/1')
  const read = readFrom(stream)
  await until(() => read() > 1024 * 1024)
  way.pause()
  await untilStill(() => sent())
  const whilePaused = read()
  expect(sent() - whilePaused).toBeLessThan(16 * 1024 * 1024)
  way.resume()
  await until(() => read() > whilePaused + 4 * 1024 * 1024)
  stream.abort(new Error('enough'))
})

const named = (name: string): Buffer => Buffer.from(`${String.fromCharCode(name.length + 1)}${name}\n`)
/** What a client says to have TLS, and the front to agree. */
const agreement = Buffer.concat([named('/multistream/1.0.0'), named('/tls/1.0.0')])

/** A socket on which TLS has been agreed on. */
async function agreed(address: Multiaddr): Promise<Socket> {
  const socket = connectTcp(Number(address.getComponents()[1]?.value), '127.0.0.1')
  stops.push(() => {
    socket.destroy()
  })
  socket.on('error', () => {})
  socket.write(agreement)
  let heard = 0
  await new Promise<void>((resolve) => {
    socket.on('data', function listen(bytes: Buffer) {
      heard += bytes.length
      if (heard < agreement.length) return
      socket.off('data', listen)
      resolve()
    })
  })
  return socket
}

async function credentials(signer?: PrivateKey): Promise<ConnectionOptions> {
  const key = await generateKeyPair('Ed25519')
  const forged = { type: key.type, publicKey: key.publicKey, sign: signer?.sign.bind(signer) } as PrivateKey
  return makeCertificate(signer === undefined ? key : forged)
}

const oddClients: Readonly<Record<string, () => Promise<ConnectionOptions>>> = {
  'without a certificate': async () => ({}),
  'with a certificate that somebody else signed': async () => credentials(await generateKeyPair('Ed25519')),
  'with TLS 1.2': async () => ({ ...(await credentials()), maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' }),
  'of another protocol': async () => ({ ...(await credentials()), ALPNProtocols: ['h2'] }),
}

test.each(Object.keys(oddClients))('a client %s is turned away', async (kind) => {
  const { tcp: address, gate, front: host } = await front()
  const socket = await agreed(address)
  const options = (await oddClients[kind]?.()) ?? {}
  const client = connectTls({
    ALPNProtocols: ['/yamux/1.0.0', 'libp2p'],
    ...options,
    socket,
    rejectUnauthorized: false,
  })
  client.on('error', () => {})
  client.resume()
  await until(() => client.destroyed && gate.open === 0)
  expect(host.node.getConnections()).toEqual([])
})

test('garbage in place of a handshake, and a client that leaves in it, cost nothing for long', async () => {
  const { tcp: address, gate } = await front()
  const garbage = await agreed(address)
  garbage.write(randomBytes(2_000))
  await until(() => garbage.destroyed)
  const leaving = await agreed(address)
  leaving.write(Buffer.from('1603010200010001fc0303', 'hex'))
  leaving.destroy()
  await until(() => gate.open === 0)
})

test('half-open handshakes count for their address, and end with the time for them', async () => {
  const { tcp: address, gate, refusals } = await front({ limits: { maxConnectionsPerAddress: 30 } })
  const begunMs = performance.now()
  const half = await Promise.all(Array.from({ length: 30 }, () => agreed(address)))
  for (const socket of half) socket.write(Buffer.from('16030102', 'hex'))
  expect(gate.open).toBe(30)
  const more = connectTcp(Number(address.getComponents()[1]?.value), '127.0.0.1')
  more.on('error', () => {})
  more.write(agreement)
  more.resume()
  await until(() => more.destroyed)
  expect(refusals).toEqual(['too-many-connections-per-address'])
  await until(() => gate.open === 0, 15_000)
  expect(performance.now() - begunMs).toBeGreaterThan(8_000)
}, 20_000)

test('a client that sends its handshake before it was answered gets one', async () => {
  const { tcp: address, front: host } = await front()
  const socket = connectTcp(Number(address.getComponents()[1]?.value), '127.0.0.1')
  stops.push(() => {
    socket.destroy()
  })
  let heard: Buffer = Buffer.alloc(0)
  let first = true
  // Below TLS: the agreement goes in front of what TLS says first, and comes off what it hears.
  const below = new Duplex({
    read() {},
    write(chunk, _, done) {
      socket.write(first ? Buffer.concat([agreement, chunk]) : chunk, () => done())
      first = false
    },
  })
  socket.on('data', (bytes) => {
    const skipped = Math.min(bytes.length, Math.max(0, agreement.length - heard.length))
    heard = Buffer.concat([heard, bytes.subarray(0, skipped)])
    if (skipped < bytes.length) below.push(bytes.subarray(skipped))
  })
  const client = connectTls({
    ...(await credentials()),
    socket: below as unknown as Socket,
    ALPNProtocols: ['/yamux/1.0.0', 'libp2p'],
    rejectUnauthorized: false,
  })
  client.on('error', () => {})
  await once(client, 'secureConnect')
  expect(heard.equals(agreement)).toBe(true)
  await until(() => host.node.getConnections().length === 1)
  expect(host.node.getConnections()[0]?.encryption).toBe('/tls/1.0.0')
})
