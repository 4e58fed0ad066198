import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import type { DoorKind } from '#src/config/listen.ts'
import { doorOfConnection } from '#src/p2p/door/front-doors.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { makeAuthority, writeCertificate } from '#test/support/certificates.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { startGoIdle, startGoLoad } from '#test/support/go-load.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'

/**
 * What comes at doors on the internet: bytes that are nothing, handshakes that are never finished, clients that are gone
 * without a word. Afterwards everything is as before, which is told by the gate: with a limit of so many per address,
 * so many come in by each door again.
 */
const limit = 12
const content = { blocks: 400, blockBytes: 65_536 }

const doors: Readonly<Partial<Record<DoorKind, string>>> = {
  tcp: '/ip4/127.0.0.1/tcp/0',
  ws: '/ip4/127.0.0.1/tcp/0/ws',
  wss: '/ip4/127.0.0.1/tcp/0/tls/ws',
  'quic-v1': '/ip4/127.0.0.1/udp/0/quic-v1',
  'webrtc-direct': '/ip4/127.0.0.1/udp/0/webrtc-direct',
}
const kinds = Object.keys(doors) as DoorKind[]
/** Go does not dial this one; garbage comes to it all the same. */
const webTransport = '/ip4/127.0.0.1/udp/0/quic-v1/webtransport'

describe.skipIf(!requirePeer('go'))('at every door of a compiled edge', () => {
  let backend: GoServe
  let edge: EdgeProcess
  let directory: string

  beforeAll(async () => {
    await Promise.all([goBinary(), ensureBinary()])
    directory = await mkdtemp(join(tmpdir(), 'kitsune-doors-'))
    const issued = await (await makeAuthority()).issue(['localhost'])
    const { certFile, keyFile } = await writeCertificate(directory, 'web', issued)
    backend = await startGoServe({ ...content, fileBytes: 1_000_000, fileSeed: 71 })
    edge = await startEdgeProcess({
      from: 'binary',
      backends: [backend.rpc],
      env: {
        KITSUNE_LISTEN: [...Object.values(doors), webTransport].join(','),
        KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: String(limit),
        KITSUNE_TLS_CERT_FILE: certFile,
        KITSUNE_TLS_KEY_FILE: keyFile,
      },
    })
    await edge.untilReady()
  }, 300_000)

  afterAll(async () => {
    await edge?.stop()
    await backend?.stop()
    if (directory !== undefined) await rm(directory, { recursive: true, force: true })
  })

  const addressOf = (kind: DoorKind): string =>
    edge.addresses.find((address) => doorOfConnection(multiaddr(address)) === kind) ?? ''
  const portOf = (kind: DoorKind): number => Number(/\/(?:tcp|udp)\/(\d+)/.exec(addressOf(kind))?.[1])
  const gone = () => edge.untilMetrics((m) => m.sum('kitsune_connections') === 0, 60_000)

  test('garbage is nobody, however much of it comes', async () => {
    for (const kind of ['tcp', 'ws', 'wss'] as const) {
      for (let round = 0; round < 20; round++) await garbageOverTcp(portOf(kind), 10)
    }
    for (const kind of ['quic-v1', 'webrtc-direct', 'webtransport'] as const) {
      await garbageOverUdp(portOf(kind), 5_000)
    }
    for (const kind of kinds) {
      expect(await goFetch({ peer: addressOf(kind), cid: `${backend.root}` })).toMatchObject({ blocks: 5 })
    }
    await gone()
  }, 90_000)

  test('handshakes that are not finished take the places of their own address for ten seconds, and no longer', async () => {
    const refused = async (): Promise<number> =>
      (await edge.metrics()).refused('client')['too-many-connections-per-address'] ?? 0
    const before = await refused()
    const beganMs = performance.now()
    const firsts = { tcp: '\x13/multistream', ws: 'GET / HT', wss: '\x16\x03\x01' } as const
    const sockets = Object.entries(firsts).flatMap(([kind, first], at) => {
      const to = { host: '127.0.0.1', port: portOf(kind as DoorKind), localAddress: `127.0.0.${at + 2}` }
      const own = Array.from({ length: limit + 5 }, () => connect(to))
      for (const socket of own) socket.resume().write(first)
      return own
    })
    await Promise.all(sockets.map(closed))
    expect(performance.now() - beganMs).toBeLessThan(15_000)
    expect((await refused()) - before).toBe(3 * 5)
  }, 60_000)

  test('clients that are gone without a word leave nothing', async () => {
    for (const kind of kinds) {
      const load = await startGoLoad({
        ...content,
        peer: addressOf(kind),
        clients: limit / 2,
        wants: 8,
        seconds: 60,
        loop: true,
      })
      await load.reached(50, 20_000)
      await load.process.kill('SIGKILL')
      await gone()
    }
    const idle = await edge.metrics()
    for (const name of ['clients', 'wants_outstanding', 'pending', 'outbox_bytes']) {
      expect([name, idle.sum(`kitsune_${name}`)]).toEqual([name, 0])
    }
  }, 300_000)

  test.each(kinds)(
    'as many as before come in by %s',
    async (kind) => {
      const all = await startGoIdle({ peer: addressOf(kind), connections: limit })
      const connected = await edge.untilMetrics((m) => m.sum('kitsune_connections') === limit)
      expect(connected.sum('kitsune_connections', { transport: kind })).toBe(limit)
      await all.stop()
      await gone()
    },
    60_000,
  )
})

function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  return new Promise((resolve) => socket.on('close', () => resolve()))
}

async function garbageOverTcp(port: number, count: number): Promise<void> {
  const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1'))
  for (const socket of sockets) socket.resume().end(randomBytes(16_384))
  await Promise.all(sockets.map(closed))
}

async function garbageOverUdp(port: number, count: number): Promise<void> {
  const socket = createSocket('udp4')
  for (let n = 0; n < count; n++) {
    const bytes = randomBytes(n % 3 === 0 ? 1_200 : 64)
    // A third of it looks like the first packet of QUIC version 1.
    if (n % 3 === 0) bytes.set([0xc3, 0, 0, 0, 1, 8])
    await new Promise((resolve) => socket.send(bytes, port, '127.0.0.1', resolve))
  }
  socket.close()
}
