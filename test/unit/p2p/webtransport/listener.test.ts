import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Stream } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { Gate } from '#src/p2p/door/gater.ts'
import { connectionsByTransport } from '#src/p2p/host.ts'
import { webTransportDoor } from '#src/p2p/webtransport/transport.ts'
import { socketsOn } from '#test/support/udp-sockets.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { client, door, echoed, freeUdpPort, whenDone } from './door-under-test.ts'

// Once in some fifty bulk streams quiche forgets the end of one, on either side: see "Learned on the way".
const bulk = { retry: 2, timeout: 10_000 }

test(
  'what goes in comes back; the connection is known by its address and its transport, and leaves the count',
  bulk,
  async () => {
    const it = await door()
    const bytes = randomBytes(8 * 1024 * 1024)
    const node = await client()
    expect((await echoed(node, it.address(), bytes)).equals(bytes)).toBe(true)
    const [connection] = it.node.getConnections()
    expect(connection?.remoteAddr.toString()).toMatch(
      /^\/ip4\/127\.0\.0\.1\/udp\/\d+\/quic-v1\/webtransport\/p2p\//,
    )
    expect(connectionsByTransport(it.node)).toMatchObject({ webtransport: 1, 'quic-v1': 0 })
    expect([it.gate.open, it.gate.addresses]).toEqual([1, 1])
    await node.stop()
    await until(() => it.gate.open === 0 && it.gate.addresses === 0)
    expect(it.node.getConnections()).toEqual([])
  },
)

test('over IPv6 as well', async () => {
  const it = await door({ listen: '/ip6/::1/udp/0' })
  expect((await echoed(await client(), it.address(), Buffer.from('six'))).toString()).toBe('six')
  expect(it.node.getConnections()[0]?.remoteAddr.toString()).toStartWith('/ip6/::1/udp/')
})

test('not while another has the port', async () => {
  const it = await door()
  const taken = door({ listen: `/ip4/127.0.0.1/udp/${it.port()}` })
  await expect(taken).rejects.toThrow(/in use/)
})

test('without the addon, or without a place for certificates, there is no door, and it is said why', async () => {
  const gate = new Gate({ refused: () => {} }, { maxConnections: 1, maxConnectionsPerAddress: 1 })
  const deps = { gate, dataDir: '/dev/null', warn() {} }
  const missing = (): Promise<never> => Promise.reject(new Error('no such file'))
  await expect(webTransportDoor(deps, {}, missing)).rejects.toThrow('rwebtransport does not load')
  await expect(webTransportDoor(deps)).rejects.toThrow('The directory cannot be written')
})

test('a listener that is closed before it listens does not listen', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'kitsune-wt-'))
  whenDone(() => rm(dataDir, { recursive: true }))
  const gate = new Gate({ refused: () => {} }, { maxConnections: 1, maxConnectionsPerAddress: 1 })
  const privateKey = await generateKeyPair('Ed25519')
  const components = { privateKey, peerId: peerIdFromPrivateKey(privateKey), logger: defaultLogger() }
  const transport = (await webTransportDoor({ gate, dataDir, warn() {} }))(components)
  const listener = transport.createListener({ upgrader: {} as never })
  const port = await freeUdpPort()
  const listening = listener.listen(multiaddr(`/ip4/127.0.0.1/udp/${port}/quic-v1/webtransport`))
  await Promise.all([listener.close(), listening])
  expect([socketsOn(port), listener.getAddrs()]).toEqual([0, []])
})

test('a reset reaches the other side, from either', async () => {
  const it = await door()
  const accepted: Stream[] = []
  await it.node.handle('/held/1', (stream) => void accepted.push(stream))
  const connection = await (await client()).dial(multiaddr(it.address()))
  const byClient = await connection.newStream('/held/1')
  await until(() => accepted.length === 1)
  byClient.abort(new Error('enough'))
  await until(() => accepted[0]?.status === 'reset')
  const byUs = await connection.newStream('/held/1')
  await until(() => accepted.length === 2)
  accepted[1]?.abort(new Error('enough'))
  await until(() => byUs.status !== 'open')
  await until(() => it.node.getConnections()[0]?.streams.length === 0)
  expect((await echoed(await client(), it.address(), Buffer.from('on'))).toString()).toBe('on')
})
