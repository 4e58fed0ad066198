import { afterEach, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Identify } from '@libp2p/identify'
import type { Connection } from '@libp2p/interface'
import { mplex } from '@libp2p/mplex'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { connectionsByTransport, createLaneHost } from '#src/p2p/host.ts'
import {
  echoed,
  type FrontUnderTest,
  startClient,
  startFront,
  until,
} from '#test/unit/p2p/front-under-test.ts'

const stops: Array<() => void | Promise<void>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function front(...args: Parameters<typeof startFront>): Promise<FrontUnderTest> {
  const started = await startFront(...args)
  stops.push(started.stop)
  return started
}

async function client(...args: Parameters<typeof startClient>): Promise<Libp2p> {
  const started = await startClient(...args)
  stops.push(() => started.stop())
  return started
}

async function lane(): Promise<Libp2p> {
  const started = await createLaneHost({ privateKey: await generateKeyPair('Ed25519'), version: '1.2.3' })
  stops.push(() => started.stop())
  return started
}

function identified(node: Libp2p, connection: Connection) {
  return (node.services as { identify: Identify }).identify.identify(connection)
}

test('a lane reaches a front over TCP and yamux, and 4 MiB come back as they went', async () => {
  const { tcp } = await front()
  const bytes = randomBytes(4 * 1024 * 1024)
  const node = await lane()
  expect((await echoed(node, tcp, bytes)).equals(bytes)).toBe(true)
  expect(node.getConnections().map(({ multiplexer }) => multiplexer)).toEqual(['/yamux/1.0.0'])
})

test('a client that speaks mplex only opens a hundred streams at once, and all are served', async () => {
  const { tcp } = await front()
  const node = await client(mplex())
  const payloads = Array.from({ length: 100 }, () => randomBytes(1_000))
  const answers = await Promise.all(payloads.map((payload) => echoed(node, tcp, payload)))
  expect(answers.every((answer, i) => answer.equals(payloads[i] as Buffer))).toBe(true)
  expect(node.getConnections().map(({ multiplexer }) => multiplexer)).toEqual(['/mplex/6.7.0'])
})

test('identify tells the agent and what is served, and nothing of a private address', async () => {
  const { front: host, tcp } = await front()
  const node = await client()
  const { agentVersion, protocols, listenAddrs, signedPeerRecord } = await identified(
    node,
    await node.dial(tcp),
  )
  expect(agentVersion).toBe('kitsune/1.2.3')
  expect(protocols.sort()).toEqual(['/echo/1', '/ipfs/id/1.0.0', '/ipfs/ping/1.0.0'])
  expect(listenAddrs).toEqual([])
  expect(signedPeerRecord).toBeUndefined()
  expect([host.advertised(), host.node.getMultiaddrs()]).toEqual([[], []])
  expect(host.listening().length).toBe(2)
})

test('identify tells what is announced and nothing else', async () => {
  const announce = ['/dns4/node0.example.org/tcp/443/wss', '/ip4/10.0.0.1/tcp/4001']
  const { front: host, tcp } = await front({ announce })
  const node = await client()
  const { listenAddrs, signedPeerRecord } = await identified(node, await node.dial(tcp))
  expect(listenAddrs.map(String)).toEqual(announce)
  expect(signedPeerRecord?.addresses.map(String)).toEqual(announce)
  const id = host.node.peerId
  expect(host.advertised().map(String)).toEqual(announce.map((address) => `${address}/p2p/${id}`))
  expect(host.node.getMultiaddrs().map(String)).toEqual(host.advertised().map(String))
})

test('a signature is made once for all clients, and holds for each', async () => {
  const privateKey = await generateKeyPair('RSA', 2048)
  const sign = privateKey.sign.bind(privateKey)
  let signed = 0
  privateKey.sign = (...args) => {
    signed++
    return sign(...args)
  }
  const { front: host, tcp } = await front({ privateKey, announce: ['/ip4/9.9.9.9/tcp/4001'] })
  for (let i = 0; i < 3; i++) {
    const node = await client()
    const connection = await node.dial(multiaddr(`${tcp}/p2p/${host.node.peerId}`))
    const { signedPeerRecord } = await identified(node, connection)
    expect(signedPeerRecord?.addresses.map(String)).toEqual(['/ip4/9.9.9.9/tcp/4001'])
  }
  // One of the handshake, one of the record.
  expect(signed).toBe(2)
})

test('a lane tells no address at all', async () => {
  const node = await lane()
  expect(node.getMultiaddrs()).toEqual([])
})

test('no trace of a client is left after its last connection, none in the peer store even before', async () => {
  const { front: host, gate, tcp, ws } = await front()
  const clients = await Promise.all(Array.from({ length: 5 }, () => client()))
  await Promise.all(clients.map((node, i) => echoed(node, i % 2 ? tcp : ws, randomBytes(10))))
  expect(gate.open).toBe(5)
  expect(await host.node.peerStore.all()).toEqual([])
  await Promise.all(clients.map((node) => node.stop()))
  await until(() => gate.open === 0 && host.node.getConnections().length === 0)
  expect(await host.node.peerStore.all()).toEqual([])
  expect([gate.addresses, host.node.getPeers().length]).toEqual([0, 0])
})

test('connections are counted by transport', async () => {
  const { front: host, tcp, ws } = await front()
  await (await client()).dial(tcp)
  await (await client()).dial(ws)
  await (await client()).dial(ws)
  await until(() => host.node.getConnections().length === 3)
  expect(connectionsByTransport(host.node)).toMatchObject({ tcp: 1, ws: 2, wss: 0 })
})

test('the gate turns TCP clients away, by reason', async () => {
  const { refusals, tcp, gate } = await front({ limits: { maxConnectionsPerAddress: 1 } })
  await (await client()).dial(tcp)
  await expect((await client()).dial(tcp)).rejects.toThrow()
  await until(() => refusals.length === 1)
  gate.close()
  await expect((await client()).dial(tcp)).rejects.toThrow()
  await until(() => refusals.length === 2)
  expect(refusals).toEqual(['too-many-connections-per-address', 'draining'])
  expect(gate.open).toBe(1)
})

test('a TCP socket that never finishes its handshake counts, and only while it is open', async () => {
  const { gate, refusals, tcp } = await front({ limits: { maxConnectionsPerAddress: 3 } })
  const port = Number(tcp.getComponents()[1]?.value)
  const sockets = Array.from({ length: 5 }, () => connect(port, '127.0.0.1'))
  for (const socket of sockets) socket.on('error', () => {}).write('\x13')
  await until(() => gate.open === 3 && refusals.length === 2)
  for (const socket of sockets) socket.destroy()
  await until(() => gate.open === 0 && gate.addresses === 0)
})

test('the front dials nobody', async () => {
  const { front: host } = await front()
  const other = await front()
  await expect(host.node.dial(other.tcp)).rejects.toThrow()
  await expect(host.node.dial(multiaddr(`${other.tcp}/p2p/${other.front.node.peerId}`))).rejects.toThrow()
  expect(other.gate.open).toBe(0)
})

test('a door that comes late is only one whose transport was missing', async () => {
  const { tcp: taken } = await front()
  let isThere = false
  const certificates = {
    names: [],
    contextFor: () => {
      throw new Error('nobody comes')
    },
    load: async () => {
      if (!isThere) throw new Error('no certificate')
    },
  }
  const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws', '/ip4/127.0.0.1/tcp/0/tls/ws?']
  const { front: late } = await front({ listen, certificates })
  const { front: stopped } = await front({ listen, certificates })
  await expect(late.openLate('wss')).rejects.toThrow('no certificate')
  isThere = true
  expect(await late.openLate('wss')).toEqual([{ address: '/ip4/127.0.0.1/tcp/0/tls/ws', kind: 'wss' }])
  expect(await late.openLate('wss')).toEqual([])
  await stopped.node.stop()
  expect(await stopped.openLate('wss')).toEqual([])
  expect(stopped.listening()).toEqual([])
  // Its port is another's: the certificate has nothing to do with it.
  const other = [...listen.slice(0, 2), `${taken}/tls/ws?`]
  const { front: closed } = await front({ listen: other, certificates })
  expect(await closed.openLate('wss')).toEqual([])
})

test('a taken port fails the start', async () => {
  const { tcp } = await front()
  await expect(startFront({ listen: [tcp.toString()] })).rejects.toThrow()
})
