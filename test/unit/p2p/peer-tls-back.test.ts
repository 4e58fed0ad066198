import { afterEach, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { createLaneHost } from '#src/p2p/host.ts'
import type { SocketConnection } from '#src/p2p/tcp/socket-connection.ts'
import { flood, readFrom, untilStill } from '#test/support/flood.ts'
import { type Handshake, startTlsHost, type TlsHost, wellShaken } from '#test/support/tls-host.ts'
import { echoed, startFront, until } from './front-under-test.ts'

const stops: Array<() => void | Promise<void>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function backend(handshake: Handshake): Promise<TlsHost & { address: Multiaddr }> {
  const started = await startTlsHost(handshake)
  stops.push(() => started.node.stop())
  return { ...started, address: started.node.getMultiaddrs()[0] as Multiaddr }
}

async function lane(): Promise<Libp2p> {
  const started = await createLaneHost({ privateKey: await generateKeyPair('Ed25519'), version: '1.2.3' })
  stops.push(() => started.stop())
  return started
}

function encryption(node: Libp2p): (string | undefined)[] {
  return node.getConnections().map((connection) => connection.encryption)
}

async function connectionsOf(host: Libp2p): Promise<Connection[]> {
  await until(() => host.getConnections().length > 0)
  return host.getConnections()
}

test('a lane takes TLS where it is offered, with the muxer agreed on in the handshake', async () => {
  const { node: host, address } = await backend(wellShaken)
  const node = await lane()
  const connection = await node.dial(address)
  expect(connection.encryption).toBe('/tls/1.0.0')
  expect(connection.multiplexer).toBe('/yamux/1.0.0')
  expect(connection.remotePeer.equals(host.peerId)).toBe(true)
  const [accepted] = await connectionsOf(host)
  expect(accepted?.remotePeer.equals(node.peerId)).toBe(true)
})

test('4 MiB and pieces of all sizes come back over TLS as they went', async () => {
  const { address } = await backend(wellShaken)
  const node = await lane()
  for (const size of [1, 4_095, 4_096, 70_000, 4 * 1024 * 1024]) {
    const bytes = randomBytes(size)
    expect((await echoed(node, address, bytes)).equals(bytes)).toBe(true)
  }
  expect(encryption(node)).toEqual(['/tls/1.0.0'])
})

test('where TLS is not offered it is Noise', async () => {
  const { tcp, stop } = await startFront({ security: { protocols: ['noise'] } })
  stops.push(stop)
  const node = await lane()
  expect((await node.dial(tcp)).encryption).toBe('/noise')
})

test('a backend that offers TLS and fails at it is reached by Noise in the same dial', async () => {
  const { address, begun } = await backend(() => Promise.reject(new Error('no TLS after all')))
  const node = await lane()
  const bytes = randomBytes(100_000)
  expect((await echoed(node, address, bytes)).equals(bytes)).toBe(true)
  expect(encryption(node)).toEqual(['/noise'])
  expect(begun()).toBe(1)
})

test('a backend that begins TLS and says nothing is reached by Noise in the same dial', async () => {
  const { address, begun } = await backend(() => new Promise(() => {}))
  const node = await lane()
  expect((await node.dial(address, { signal: AbortSignal.timeout(10_000) })).encryption).toBe('/noise')
  expect(begun()).toBe(1)
})

test('another peer than was dialled is refused over TLS, and not asked again over Noise', async () => {
  const { node: host, address, begun } = await backend(wellShaken)
  const node = await lane()
  const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  const dialled = multiaddr(address.toString().replace(host.peerId.toString(), other.toString()))
  await expect(node.dial(dialled)).rejects.toThrow()
  await until(() => begun() === 1 && host.getConnections().length === 0)
  expect(node.getConnections()).toEqual([])
})

test('a certificate that another key has signed is no proof of who it is', async () => {
  const { address, begun } = await backend(async (stream, identity) => {
    const other = await generateKeyPair('Ed25519')
    const forged = { type: identity.type, publicKey: identity.publicKey, sign: other.sign.bind(other) }
    return wellShaken(stream, forged as PrivateKey)
  })
  const node = await lane()
  expect((await node.dial(address)).encryption).toBe('/noise')
  expect(begun()).toBe(1)
})

test('a backend that goes away ends the connection, and so does the lane', async () => {
  const { node: host, address } = await backend(wellShaken)
  const node = await lane()
  const first = await node.dial(address)
  await Promise.all((await connectionsOf(host)).map((connection) => connection.close()))
  await until(() => first.status !== 'open' && node.getConnections().length === 0)
  const second = await node.dial(address)
  second.abort(new Error('enough'))
  await until(() => host.getConnections().length === 0)
  expect(second.status).toBe('aborted')
})

test('a lane that does not read makes the backend wait', async () => {
  const { node: host, address } = await backend(wellShaken)
  let sent = (): number => 0
  await host.handle('/flood/1', (stream) => {
    sent = flood(stream)
  })
  const node = await lane()
  const connection = await node.dial(address)
  const stream = await connection.newStream('/flood/1')
  const read = readFrom(stream)
  await until(() => read() > 1024 * 1024)
  const { socket } = (connection as unknown as { maConn: SocketConnection }).maConn
  socket.pause()
  await untilStill(() => sent(), 20)
  const whilePaused = read()
  expect(sent() - whilePaused).toBeLessThan(16 * 1024 * 1024)
  socket.resume()
  await until(() => read() > whilePaused + 4 * 1024 * 1024)
  stream.abort(new Error('enough'))
})
