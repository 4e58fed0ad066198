import { afterEach, expect, test } from 'bun:test'
import { randomBytes, randomUUID } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Connection } from '@libp2p/interface'
import { webRTCDirect } from '@libp2p/webrtc'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { connectionsByTransport } from '#src/p2p/host.ts'
import { echoed, type FrontUnderTest, startFront, until } from '#test/unit/p2p/front-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

interface WebRtcFront extends FrontUnderTest {
  /** With `/p2p/…`. */
  readonly address: Multiaddr
  readonly udpPort: number
  readonly dataDir: string
}

async function front(
  options: Parameters<typeof startFront>[0] & { dataDir?: string } = {},
): Promise<WebRtcFront> {
  const { dataDir = await mkdtemp(join(tmpdir(), 'kitsune-webrtc-')), ...rest } = options
  const started = await startFront({
    listen: ['/ip4/127.0.0.1/udp/0/webrtc-direct', '/ip4/127.0.0.1/tcp/0/ws'],
    keeping: { dataDir, warn: () => {} },
    ...rest,
  })
  stops.push(() => rm(dataDir, { recursive: true, force: true }), started.stop)
  const [first] = started.front.listening()
  if (first === undefined) throw new Error('it listens nowhere')
  const udpPort = Number(first.getComponents()[1]?.value)
  const address = first.encapsulate(`/p2p/${started.front.node.peerId}`)
  return { ...started, address, udpPort, dataDir }
}

/** A client by the library's own transport. */
async function client(): Promise<Libp2p> {
  const node = await createLibp2p({
    transports: [webRTCDirect({ rtcConfiguration: { iceServers: [] } })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  stops.push(() => node.stop())
  return node as unknown as Libp2p
}

/** A binding request as ICE begins with (RFC 8489), for what it looks like; nobody checks its integrity here. */
function bindingRequest(ufrag: string): Buffer {
  const attribute = (type: number, value: Buffer): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt16BE(type, 0)
    head.writeUInt16BE(value.length, 2)
    return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)])
  }
  const body = Buffer.concat([
    attribute(0x0006, Buffer.from(`${ufrag}:${ufrag}`)),
    attribute(0x0008, randomBytes(20)),
  ])
  const head = Buffer.alloc(20)
  head.writeUInt16BE(1, 0)
  head.writeUInt16BE(body.length, 2)
  head.writeUInt32BE(0x2112a442, 4)
  randomBytes(12).copy(head, 8)
  return Buffer.concat([head, body])
}

async function udpSender(port: number, from = '127.0.0.1'): Promise<(bytes: Uint8Array) => Promise<void>> {
  const socket = createSocket('udp4')
  stops.push(() => socket.close())
  await new Promise<void>((resolve) => socket.bind(0, from, resolve))
  return (bytes) => new Promise((resolve) => socket.send(bytes, port, '127.0.0.1', () => resolve()))
}

test('what goes in comes back, and the connection is known by its address and its transport', async () => {
  const it = await front()
  const bytes = randomBytes(4 * 1024 * 1024)
  const node = await client()
  expect((await echoed(node, it.address, bytes)).equals(bytes)).toBe(true)
  expect(connectionsByTransport(it.front.node)).toMatchObject({ 'webrtc-direct': 1, 'quic-v1': 0 })
  const [connection] = it.front.node.getConnections()
  expect(`${connection?.remoteAddr}`).toMatch(/^\/ip4\/127\.0\.0\.1\/udp\/\d+\/webrtc-direct\/p2p\//)
  expect([it.gate.open, it.gate.addresses]).toEqual([1, 1])
  await node.stop()
  await until(() => it.gate.open === 0 && it.gate.addresses === 0)
})

test('a hundred streams at once are all served', async () => {
  const it = await front()
  const node = await client()
  await node.dial(it.address)
  await until(() => it.front.node.getConnections().length === 1)
  const payloads = Array.from({ length: 100 }, () => randomBytes(1_000))
  const answers = await Promise.all(payloads.map((payload) => echoed(node, it.address, payload)))
  expect(answers.every((answer, i) => answer.equals(payloads[i] as Buffer))).toBe(true)
})

test('the address is the same after a restart', async () => {
  const it = await front()
  const hashOf = (address: Multiaddr) =>
    address.getComponents().find(({ name }) => name === 'certhash')?.value
  const first = hashOf(it.address)
  await it.stop()
  expect(hashOf((await front({ dataDir: it.dataDir })).address)).toBe(first as string)
})

test('a client that sends what is not read is ended, not held', async () => {
  const it = await front()
  await it.front.node.handle('/deaf/1', (stream) => stream.pause())
  const connection = await (await client()).dial(it.address)
  const stream = await connection.newStream('/deaf/1')
  const piece = new Uint8Array(64 * 1024)
  let sent = 0
  while (connection.status === 'open' && stream.status === 'open' && sent < 64 * 1024 * 1024) {
    if (stream.send(piece)) await new Promise(setImmediate)
    else
      await Promise.race(
        ['drain', 'close'].map(
          (name) => new Promise((resolve) => stream.addEventListener(name as 'drain', resolve)),
        ),
      )
    sent += piece.length
  }
  expect(sent).toBeLessThan(64 * 1024 * 1024)
  await until(() => it.gate.open === 0, 10_000)
}, 30_000)

test('the gate refuses by address and when it is closed, from the first datagram on', async () => {
  const it = await front({ limits: { maxConnections: 2, maxConnectionsPerAddress: 1 } })
  await (await client()).dial(it.address)
  const refused = async (): Promise<void> => {
    const node = await client()
    const dialled = await node.dial(it.address, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined)
    expect(dialled as Connection | undefined).toBeUndefined()
  }
  await refused()
  expect(it.refusals).toEqual(['too-many-connections-per-address'])
  it.gate.close()
  await refused()
  expect(it.refusals).toEqual(['too-many-connections-per-address', 'draining'])
  expect(it.gate.open).toBe(1)
}, 20_000)

test('handshakes that stop at their first datagram are bounded, and garbage is dropped', async () => {
  const it = await front({ limits: { maxConnections: 1_000, maxConnectionsPerAddress: 1_000 } })
  const send = await udpSender(it.udpPort)
  const credentials = (): string => `libp2p+webrtc+v1/${randomUUID().replaceAll('-', '')}`
  const before = process.memoryUsage.rss()
  for (let i = 0; i < 6_000; i++) {
    await send(
      i % 3 === 0 ? randomBytes(1 + (i % 1_200)) : bindingRequest(i % 3 === 1 ? credentials() : `bad ${i}`),
    )
    if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await until(() => it.refusals.length > 500)
  // One address has 32.
  expect(it.gate.open).toBeLessThanOrEqual(32)
  expect(new Set(it.refusals)).toEqual(new Set(['too-many-handshakes']))
  expect(process.memoryUsage.rss() - before).toBeLessThan(128 * 1024 * 1024)
  await until(() => it.gate.open === 0, 15_000)
  const bytes = randomBytes(100_000)
  expect((await echoed(await client(), it.address, bytes)).equals(bytes)).toBe(true)
}, 40_000)

test('of a flood with senders from everywhere a hundred a second are begun, and a client gets in all the same', async () => {
  const it = await front({ limits: { maxConnections: 1_000, maxConnectionsPerAddress: 1_000 } })
  const beganMs = performance.now()
  for (let i = 0; i < 100; i++) {
    const send = await udpSender(it.udpPort, `127.0.1.${i + 1}`)
    for (let n = 0; n < 10; n++) await send(bindingRequest(`flood/${randomUUID().replaceAll('-', '')}`))
  }
  await until(() => it.refusals.length > 300)
  const seconds = (performance.now() - beganMs) / 1_000
  expect(it.gate.open).toBeGreaterThan(90)
  expect(it.gate.open).toBeLessThanOrEqual(101 + 100 * seconds)
  const bytes = randomBytes(100_000)
  expect((await echoed(await client(), it.address, bytes)).equals(bytes)).toBe(true)
}, 20_000)

test('the twins on 0.0.0.0 and :: share a port, and a port that is taken is told', async () => {
  const it = await front()
  const probe = createSocket('udp4')
  await new Promise<void>((resolve) => probe.bind(0, () => resolve()))
  const { port } = probe.address()
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  const twins = await front({
    listen: [
      `/ip4/0.0.0.0/udp/${port}/webrtc-direct`,
      `/ip6/::/udp/${port}/webrtc-direct`,
      '/ip4/127.0.0.1/tcp/0/ws',
    ],
  })
  for (const host of ['/ip4/127.0.0.1', '/ip6/::1']) {
    const [address] = twins.front.listening().filter((each) => each.toString().startsWith(`${host}/`))
    const full = address?.encapsulate(`/p2p/${twins.front.node.peerId}`) as Multiaddr
    const bytes = randomBytes(10_000)
    const node = await client()
    expect((await echoed(node, full, bytes)).equals(bytes)).toBe(true)
    const peer = twins.front.node.getConnections(node.peerId)
    expect(`${peer[0]?.remoteAddr}`.startsWith(`${host}/udp/`)).toBe(true)
  }
  const taken = front({
    listen: [`/ip4/127.0.0.1/udp/${it.udpPort}/webrtc-direct`, '/ip4/127.0.0.1/tcp/0/ws'],
  })
  const error = await taken.catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'LISTEN_FAILED' })
  expect(JSON.stringify(error)).toContain('webrtc-direct')
}, 30_000)
