import { afterEach, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { StreamMuxerFactory } from '@libp2p/interface'
import { mplex } from '@libp2p/mplex'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p, type Libp2pInit } from 'libp2p'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { SecurityProtocol } from '#src/config/schema-security.ts'
import { formatSwarmKey } from '#src/config/swarm-key.ts'
import { createLaneHost } from '#src/p2p/host.ts'
import { nativeNoise } from '#src/p2p/noise/noise.ts'
import { flood, readFrom, untilStill } from '#test/support/flood.ts'
import { echoed, type FrontUnderTest, startClient, startFront, until } from '../front-under-test.ts'

const stops: Array<() => void | Promise<void>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const swarmKey = new Uint8Array(32).fill(0xa5)
const otherKey = new Uint8Array(32).fill(0x5a)

async function front(): Promise<FrontUnderTest> {
  const started = await startFront({ security: { protocols: ['noise', 'tls'], swarmKey } })
  stops.push(started.stop)
  return started
}

async function lane(protocol: SecurityProtocol, key?: Uint8Array): Promise<Libp2p> {
  const node = await createLaneHost({
    privateKey: await generateKeyPair('Ed25519'),
    version: '1.2.3',
    security: { protocols: [protocol], ...(key && { swarmKey: key }) },
  })
  stops.push(() => node.stop())
  return node
}

/** js-libp2p with its own protector. */
async function jsPeer(
  key: Uint8Array,
  muxer: () => StreamMuxerFactory = yamux(),
  before: NonNullable<Libp2pInit['connectionEncrypters']> = [],
): Promise<Libp2p> {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp(), webSockets()],
    connectionEncrypters: [...before, nativeNoise().encrypter],
    connectionProtector: preSharedKey({ psk: Buffer.from(formatSwarmKey(key).trim()) }),
    streamMuxers: [muxer],
    connectionMonitor: { enabled: false },
  })
  stops.push(() => node.stop())
  return node as unknown as Libp2p
}

async function faultOf(dial: Promise<unknown>): Promise<string> {
  return dial.then(
    () => 'connected',
    (error) => (error as Error).message,
  )
}

test.each(['noise', 'tls'] as const)(
  'a lane with the same key comes in, and bytes of all sizes come back, by %s',
  async (protocol) => {
    const { tcp: address, front: host } = await front()
    const node = await lane(protocol, swarmKey)
    for (const size of [1, 4_095, 4_096, 70_000, 16 * 1024 * 1024]) {
      const bytes = randomBytes(size)
      expect((await echoed(node, address, bytes)).equals(bytes)).toBe(true)
    }
    expect(node.getConnections()[0]?.encryption).toBe(protocol === 'noise' ? '/noise' : '/tls/1.0.0')
    await Promise.all(node.getConnections().map((connection) => connection.close()))
    await until(() => host.node.getConnections().length === 0)
  },
)

test('256 MiB go there and back', async () => {
  const { tcp: address } = await front()
  const node = await lane('noise', swarmKey)
  const stream = await (await node.dial(address)).newStream('/echo/1')
  const [went, came] = [createHash('sha256'), createHash('sha256')]
  const reading = (async () => {
    for await (const piece of stream) for (const part of piece as Uint8ArrayList) came.update(part)
  })()
  const piece = randomBytes(65_536)
  for (let i = 0; i < 4_096; i++) {
    piece.writeUInt32LE(i)
    went.update(piece)
    if (!stream.send(Buffer.from(piece))) await once(stream, 'drain')
  }
  await stream.close()
  await reading
  expect(came.digest('hex')).toBe(went.digest('hex'))
}, 60_000)

test.each(['tcp', 'ws'] as const)('a js-libp2p with its own protector comes in by %s', async (over) => {
  const { [over]: address } = await front()
  const client = await jsPeer(swarmKey)
  const bytes = randomBytes(100_000)
  expect((await echoed(client, address, bytes)).equals(bytes)).toBe(true)
})

test('a peer that offers TLS and fails at it is reached by Noise in the same dial', async () => {
  const host = await jsPeer(swarmKey, yamux(), [
    () => ({
      protocol: '/tls/1.0.0',
      secureInbound: () => Promise.reject(new Error('no TLS after all')),
      secureOutbound: () => Promise.reject(new Error('it only listens')),
    }),
  ])
  const node = await createLaneHost({
    privateKey: await generateKeyPair('Ed25519'),
    version: '1.2.3',
    security: { protocols: ['tls', 'noise'], swarmKey },
  })
  stops.push(() => node.stop())
  expect((await node.dial(host.getMultiaddrs()[0] as Multiaddr)).encryption).toBe('/noise')
})

test('a lane reaches a js-libp2p with its own protector', async () => {
  const host = await jsPeer(swarmKey)
  const node = await lane('noise', swarmKey)
  const connection = await node.dial(host.getMultiaddrs()[0] as Multiaddr)
  expect(connection.remotePeer.equals(host.peerId)).toBe(true)
})

test('a client with another key is refused at once, and so is one without', async () => {
  const { tcp: address, ws, gate, refusals, front: host } = await front()
  const stranger = await lane('noise', otherKey)
  expect(await faultOf(stranger.dial(address))).toContain('swarm key is different or missing')
  await until(() => refusals.length === 1)
  const js = await jsPeer(otherKey)
  expect(await faultOf(js.dial(ws))).not.toBe('connected')
  await until(() => refusals.length === 2)
  const open = await startClient()
  stops.push(() => open.stop())
  expect(await faultOf(open.dial(address))).not.toBe('connected')
  await until(() => refusals.length === 3 && gate.open === 0)
  expect(new Set(refusals)).toEqual(new Set(['wrong-swarm-key']))
  expect(host.node.getConnections()).toEqual([])
})

test('a backend with another key, or without one, is told as such', async () => {
  const node = await lane('noise', swarmKey)
  const other = await jsPeer(otherKey)
  expect(await faultOf(node.dial(other.getMultiaddrs()[0] as Multiaddr))).toMatch(/swarm key/)
  const { tcp: address, stop } = await startFront()
  stops.push(stop)
  expect(await faultOf(node.dial(address))).toMatch(/swarm key/)
}, 15_000)

/** A server that says `first` to who connects. */
async function saying(first: Uint8Array): Promise<Multiaddr> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write(first)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => {
    server.close()
  })
  return multiaddr(`/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`)
}

test('what is wrong is said by what the other side says first', async () => {
  const node = await lane('noise', swarmKey)
  const inTheOpen = await saying(Buffer.from('\x13/multistream/1.0.0\n'))
  expect(await faultOf(node.dial(inTheOpen))).toContain('has no swarm key')
  const noise = await saying(randomBytes(44))
  expect(await faultOf(node.dial(noise))).toContain('has a different swarm key')
})

test('who says nothing, or a little, is held no longer than any half-open connection', async () => {
  const { tcp: address, gate, refusals } = await front()
  const port = Number(address.getComponents()[1]?.value)
  for (let i = 0; i < 50; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(randomBytes(i % 43))
    stops.push(() => {
      socket.destroy()
    })
  }
  await until(() => gate.open >= 49)
  await until(() => gate.open === 0, 15_000)
  // Nobody of them has shown a wrong key.
  expect(refusals).toEqual([])
}, 20_000)

test('a client that does not read makes the front wait', async () => {
  const { front: host, tcp: address } = await front()
  let sent = (): number => 0
  await host.node.handle('/flood/1', (stream) => {
    sent = flood(stream)
  })
  // mplex has no windows: what is not taken off the socket is all that makes anybody wait.
  const client = await jsPeer(swarmKey, mplex())
  const connection = await client.dial(address)
  const stream = await connection.newStream('/flood/1')
  const read = readFrom(stream)
  await until(() => read() > 512 * 1024)
  const { maConn } = connection as unknown as { maConn: { socket: { pause(): void } } }
  maConn.socket.pause()
  await untilStill(() => sent())
  expect(sent() - read()).toBeLessThan(16 * 1024 * 1024)
})

test('a dial that is given up says nothing of keys, then or later', async () => {
  const refused: string[] = []
  const node = await createLaneHost({
    privateKey: await generateKeyPair('Ed25519'),
    version: '1.2.3',
    security: { protocols: ['noise'], swarmKey },
    wrongSwarmKey: () => refused.push('refused'),
  })
  stops.push(() => node.stop())
  const silent = await saying(new Uint8Array())
  await faultOf(node.dial(silent, { signal: AbortSignal.timeout(200) }))
  // Longer than a peer has for its greeting.
  await new Promise((resolve) => setTimeout(resolve, 4_500))
  expect(refused).toEqual([])
}, 10_000)
