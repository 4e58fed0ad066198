import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, runEdgeToItsEnd, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/** IPv4 and IPv6 side by side on the executable: twins of every door on one port, each serving. */
const haveGo = requirePeer('go')
const fileBytes = 300_000

/** A port that is free for TCP and UDP on both families, at the moment. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '::')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    const socket = createSocket('udp6').bind(port)
    const free = await once(socket, 'listening').then(
      () => true,
      () => false,
    )
    socket.close()
    if (free) return port
  }
}

const suffixes = ['tcp', 'ws', 'quic-v1', 'webrtc-direct', 'webtransport'] as const
type Suffix = (typeof suffixes)[number]
const shapes: Readonly<Record<Suffix, (port: number) => string>> = {
  tcp: (port) => `/tcp/${port}`,
  ws: (port) => `/tcp/${port}/ws`,
  'quic-v1': (port) => `/udp/${port}/quic-v1`,
  'webrtc-direct': (port) => `/udp/${port}/webrtc-direct`,
  webtransport: (port) => `/udp/${port}/quic-v1/webtransport`,
}

/** Of WebTransport, `::` alone is both families. */
function twinsOf(suffix: Suffix): string[] {
  const hosts = suffix === 'webtransport' ? ['/ip4/127.0.0.1', '/ip6/::1'] : ['/ip4/0.0.0.0', '/ip6/::']
  return hosts.map((host) => host + shapes[suffix](ports[suffix]))
}

let backend: GoServe | undefined
let edge: EdgeProcess
let room: string
const ports = {} as Record<Suffix, number>

beforeAll(async () => {
  await ensureBinary()
  room = await mkdtemp(join(tmpdir(), 'kitsune-dual-stack-'))
  if (haveGo) {
    await goBinary()
    backend = await startGoServe({ fileBytes, fileSeed: 5 })
  }
  for (const suffix of suffixes) ports[suffix] = await freePort()
  const twins = suffixes.flatMap(twinsOf)
  // Private ones: boxo asks a peer with public addresses only once it has had a block of it.
  edge = await startEdgeProcess({
    from: 'binary',
    backends: [backend?.rpc ?? 'http://127.0.0.1:1'],
    env: { KITSUNE_LISTEN: twins.join(), KITSUNE_ANNOUNCE: '/ip6/fd00::9/tcp/4001,/ip4/10.9.9.9/tcp/4001' },
  })
}, 300_000)

afterAll(async () => {
  await edge?.stop()
  await backend?.stop()
  await rm(room, { recursive: true, force: true })
})

test('the twins of every door are open', async () => {
  const text = await (await fetch(`${edge.admin}/metrics`)).text()
  const open = [...text.matchAll(/^kitsune_door_open\{.*address="([^"]+)".*\} (\d)$/gm)].map(
    ([, a, state]) => `${a} ${state}`,
  )
  expect(open.sort()).toEqual(
    suffixes
      .flatMap(twinsOf)
      .map((address) => `${address} 1`)
      .sort(),
  )
})

test('addresses of both families are announced', async () => {
  const { Addresses } = (await (await fetch(`${edge.admin}/api/v0/id`)).json()) as { Addresses: string[] }
  expect(Addresses).toEqual([
    `/ip6/fd00::9/tcp/4001/p2p/${edge.peerId}`,
    `/ip4/10.9.9.9/tcp/4001/p2p/${edge.peerId}`,
  ])
})

test('the web port answers HTTP on both', async () => {
  for (const host of ['127.0.0.1', '[::1]'])
    expect(await (await fetch(`http://${host}:${ports.ws}/healthz`)).text()).toBe('ok')
})

describe.skipIf(!haveGo)('a Go client fetches', () => {
  test.each(
    (['tcp', 'ws', 'quic-v1'] as const).flatMap((suffix) => [
      [suffix, '/ip4/127.0.0.1'] as const,
      [suffix, '/ip6/::1'] as const,
    ]),
  )(
    'by %s of %s',
    async (suffix, host) => {
      await edge.untilReady()
      const peer = `${host}${shapes[suffix](ports[suffix])}/p2p/${edge.peerId}`
      const { sha256 } = await goFetch({ peer, cid: String(backend?.root) })
      expect(sha256).toBe(seededFileDigest(5, fileBytes))
    },
    40_000,
  )
})

test('clients of one IPv6 /64 count as one address, others by themselves', async () => {
  const port = await freePort()
  const proxied = await startEdgeProcess({
    from: 'binary',
    backends: ['http://127.0.0.1:1'],
    env: {
      KITSUNE_LISTEN: `/ip6/::1/tcp/${port}`,
      KITSUNE_PROXY_PROTOCOL: 'tcp',
      KITSUNE_TRUSTED_PROXIES: '::1',
      KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: '2',
    },
  })
  const sockets = ['2001:db8:1:1::1', '2001:db8:1:1::2', '2001:db8:1:1:ffff::3', '2001:db8:1:2::1'].map(
    (from) => {
      const socket = connect(port, '::1')
      socket.on('error', () => {})
      socket.write(`PROXY TCP6 ${from} ::1 5000 ${port}\r\n`)
      // What the edge says first, or nothing before it closes.
      const spoke = new Promise<boolean>((resolve) => {
        socket.once('data', () => resolve(true))
        socket.once('close', () => resolve(false))
      })
      socket.write('\u0013/multistream/1.0.0\n')
      return { socket, spoke }
    },
  )
  try {
    const admitted = await Promise.all(sockets.map(({ spoke }) => spoke))
    // Which two of the three are first is a race.
    expect([admitted.slice(0, 3).filter(Boolean).length, admitted[3]]).toEqual([2, true])
  } finally {
    for (const { socket } of sockets) socket.destroy()
    await proxied.stop()
  }
}, 40_000)

test('an IPv6 door that cannot be opened ends the start by name, also beside an IPv4 one that can', async () => {
  const listen = '/ip4/127.0.0.1/tcp/0,/ip6/2001:db8::9/tcp/0'
  const { outcome, stderr } = await runEdgeToItsEnd({
    from: 'binary',
    env: { KITSUNE_LISTEN: listen, KITSUNE_BACKENDS: 'http://127.0.0.1:1', KITSUNE_DATA_DIR: room },
  })
  expect(outcome).toBe(2)
  expect(stderr.replaceAll(/\s+/g, ' ')).toContain(
    '/ip6/2001:db8::9/tcp/0: no interface of this machine has the address 2001:db8::9',
  )
})
