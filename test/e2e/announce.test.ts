import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { IdentifyResult } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createLaneHost } from '#src/p2p/host.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { makeAuthority, writeCertificate } from '#test/support/certificates.ts'
import { type EdgeProcess, poll, startEdgeProcess } from '#test/support/edge.ts'

/** What the executable tells clients of its doors: by `/api/v0/id`, by identify, and in the signed record alike. */
let room: string
let edge: EdgeProcess | undefined

beforeAll(async () => {
  await ensureBinary()
  room = await mkdtemp(join(tmpdir(), 'kitsune-announce-'))
}, 180_000)

afterAll(async () => {
  await edge?.stop()
  await rm(room, { recursive: true, force: true })
})

async function start(env: Record<string, string>): Promise<EdgeProcess> {
  await edge?.stop()
  edge = await startEdgeProcess({ from: 'binary', backends: ['http://127.0.0.1:1'], env })
  return edge
}

/** Addresses without the peer ID, from the admin API. */
async function announced({ admin, peerId }: EdgeProcess): Promise<string[]> {
  const { Addresses } = (await (await fetch(`${admin}/api/v0/id`)).json()) as { Addresses: string[] }
  return Addresses.map((address) => address.replace(`/p2p/${peerId}`, ''))
}

/** The same from libp2p: what identify tells, and what the record that comes with it says. */
async function identified({ tcp, peerId }: EdgeProcess): Promise<[string[], string[] | undefined]> {
  const node = await createLaneHost({ privateKey: await generateKeyPair('Ed25519'), version: 'test' })
  try {
    const told = new Promise<IdentifyResult>((resolve) => {
      node.addEventListener('peer:identify', ({ detail }) => resolve(detail), { once: true })
    })
    const { remotePeer } = await node.dial(multiaddr(tcp))
    expect(remotePeer.toString()).toBe(peerId)
    const { listenAddrs, signedPeerRecord } = await told
    return [listenAddrs.map(String), signedPeerRecord?.addresses.map(String)]
  } finally {
    await node.stop()
  }
}

test('a TLS port by the names of its certificate, and by the new ones when that is changed', async () => {
  const authority = await makeAuthority()
  const write = async (...names: string[]) => writeCertificate(room, 'web', await authority.issue(names))
  const paths = await write('node0.example.org', '*.example.org', 'localhost')
  const it = await start({
    KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/tls/ws',
    KITSUNE_TLS_CERT_FILE: paths.certFile,
    KITSUNE_TLS_KEY_FILE: paths.keyFile,
  })
  const [first = ''] = await announced(it)
  expect(first).toMatch(/^\/dns4\/node0\.example\.org\/tcp\/\d+\/wss$/)
  expect(await identified(it)).toEqual([[first], [first]])
  await write('node1.example.org')
  const second = first.replace('node0', 'node1')
  await poll(
    () => announced(it),
    (now) => now[0] === second,
    15_000,
  )
  expect(await identified(it)).toEqual([[second], [second]])
}, 60_000)

test('doors with certificates of their own get the hashes of these, also under a name that was announced', async () => {
  const kinds = ['/webrtc-direct', '/quic-v1/webtransport']
  const it = await start({
    KITSUNE_DATA_DIR: room,
    KITSUNE_LISTEN: ['/ip4/127.0.0.1/tcp/0', ...kinds.map((kind) => `/ip4/127.0.0.1/udp/0${kind}`)].join(),
    KITSUNE_ANNOUNCE: [
      '/dnsaddr/node0.example.org',
      ...kinds.map((kind, i) => `/dns4/node0.example.org/udp/${4003 + i}${kind}`),
    ].join(),
  })
  const told = await announced(it)
  expect(told).toEqual([
    '/dnsaddr/node0.example.org',
    expect.stringMatching(/^\/dns4\/node0\.example\.org\/udp\/4003\/webrtc-direct\/certhash\/uEi[\w-]{40,}$/),
    expect.stringMatching(
      /^\/dns4\/node0\.example\.org\/udp\/4004\/quic-v1\/webtransport(\/certhash\/uEi[\w-]{40,}){2}$/,
    ),
  ])
  expect(await identified(it)).toEqual([told, told])
  // They outlive the process.
  const again = await start({
    KITSUNE_DATA_DIR: room,
    KITSUNE_LISTEN: kinds.map((kind) => `/ip4/127.0.0.1/udp/0${kind}`).join(),
    KITSUNE_ANNOUNCE: told.map((address) => address.replace(/\/certhash\/.*/, '')).join(),
  })
  expect(await announced(again)).toEqual(told)
}, 60_000)
