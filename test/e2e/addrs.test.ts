import { afterAll, beforeAll, expect, test } from 'bun:test'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensureBinary } from '#test/support/binary.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { runCommand } from '#test/support/command.ts'
import { type EdgeProcess, runEdgeToItsEnd, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { installJsIpfs, startJsIpfs } from '#test/support/js-ipfs-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import type { Ended } from '#test/support/process.ts'

/** `kitsune addrs` on the executable, of an edge whose admin API is a socket; what it prints is pasted into real clients. */
const haveGo = requirePeer('go')
const haveJsIpfs = requirePeer('js-ipfs')

let room: string
let socket: string
let backend: GoServe | undefined
let edge: EdgeProcess

const backends = () => [backend?.rpc ?? 'http://127.0.0.1:1']
const env = (more: Record<string, string> = {}) => ({
  KITSUNE_BACKENDS: backends().join(),
  KITSUNE_DATA_DIR: join(room, 'data'),
  KITSUNE_ADMIN_LISTEN: `unix:${socket}`,
  ...more,
})
const addrs = (args: string[] = [], more: Record<string, string> = {}): Promise<Ended> =>
  runCommand(['addrs', ...args], env(more))

beforeAll(async () => {
  await ensureBinary()
  if (haveGo) {
    await goBinary()
    backend = await startGoServe({ fileBytes: 300_000 })
  }
  if (haveJsIpfs) await installJsIpfs()
  room = await mkdtemp(join(tmpdir(), 'kitsune-addrs-'))
  socket = join(room, 'admin.sock')
  edge = await startEdgeProcess({ from: 'binary', backends: backends(), env: env() })
}, 300_000)

afterAll(async () => {
  await edge?.stop()
  await backend?.stop()
  await rm(room, { recursive: true, force: true })
})

test('what the edge says of itself, as text and as Kubo would', async () => {
  const { outcome, stdout, stderr } = await addrs()
  expect([outcome, stderr]).toEqual([0, ''])
  const lines = stdout.split('\n')
  expect(lines[0]).toBe(edge.peerId)
  for (const address of [edge.tcp, edge.ws]) expect(lines).toContain(address)
  for (const part of ['IPFS.create(', '# Helia 7']) expect(stdout).toContain(part)
  const json = JSON.parse((await addrs(['--json'])).stdout)
  expect(json).toMatchObject({
    ID: edge.peerId,
    Addresses: [edge.tcp, edge.ws],
    AgentVersion: expect.stringMatching(/^kitsune\//),
  })
})

test('curl is answered on the socket, which is for owner and group', async () => {
  expect((await stat(socket)).mode & 0o7777).toBe(0o660)
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--unix-socket', socket, 'http://x/healthz'])
  expect(stdout).toBe('ok')
})

test('a second edge does not take the socket away', async () => {
  const { outcome, stderr } = await runEdgeToItsEnd({ from: 'binary', env: env() })
  expect(outcome).toBe(2)
  expect(stderr.replaceAll(/\s+/g, ' ')).toContain(`another process listens on the socket`)
  expect((await addrs()).outcome).toBe(0)
})

test('killed, it leaves a socket that the next one takes over, and that goes with an orderly end', async () => {
  const own = join(room, 'other.sock')
  const start = () =>
    startEdgeProcess({ from: 'binary', backends: backends(), env: { KITSUNE_ADMIN_LISTEN: `/unix${own}` } })
  const first = await start()
  await first.process.kill('SIGKILL')
  expect((await stat(own)).isSocket()).toBe(true)
  const second = await start()
  expect(await second.end()).toBe(0)
  await expect(stat(own)).rejects.toThrow('ENOENT')
  await Promise.all([first.stop(), second.stop()])
}, 60_000)

test('without an edge the configuration is printed, with code 1', async () => {
  const announce = '/dns4/node0.example.org/tcp/443/wss,/dns4/node0.example.org/udp/4003/webrtc-direct'
  const { outcome, stdout, stderr } = await addrs([], {
    KITSUNE_ADMIN_LISTEN: `unix:${join(room, 'none.sock')}`,
    KITSUNE_ANNOUNCE: announce,
    KITSUNE_RPC_ALLOW: 'delegates',
  })
  expect(outcome).toBe(1)
  expect(stderr).toContain('No edge answers at unix:')
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    edge.peerId,
    '',
    `/dns4/node0.example.org/tcp/443/wss/p2p/${edge.peerId}`,
    `/dns4/node0.example.org/tcp/443/tls/ws/p2p/${edge.peerId}`,
  ])
  expect(stdout).not.toContain('webrtc-direct')
  expect(stdout.match(/"\/dns4\/node0\.example\.org\/tcp\/443\/https"/g)?.length).toBe(2)
  const off = await addrs([], { KITSUNE_ADMIN_LISTEN: 'off' })
  expect([off.outcome, off.stderr.includes('KITSUNE_ADMIN_LISTEN is off')]).toEqual([1, true])
})

test.skipIf(!haveGo || !haveJsIpfs)(
  'js-ipfs with that configuration fetches, and its additions are preloaded',
  async () => {
    const { stdout } = await addrs(['--snippet', 'js-ipfs'])
    const { config, preload } = JSON.parse(
      /^const ipfs = await IPFS\.create\(([\s\S]*)\)\s*$/.exec(stdout)?.[1] ?? '',
    )
    expect(preload.enabled).toBe(true)
    const client = await startJsIpfs({
      bootstrap: config.Bootstrap,
      preload: preload.addresses,
      autoDialMs: 200,
    })
    try {
      expect((await client.cat(String(backend?.root))).bytes).toBe(300_000)
      const added = await client.add({ bytes: 50_000, seed: 7 })
      expect(await client.preloaded(added.cid)).toMatchObject({ ok: true, status: 200 })
    } finally {
      await client.stop()
    }
  },
  120_000,
)

test('Helia with that configuration connects', async () => {
  const { stdout } = await addrs(['--snippet', 'helia'])
  // Both are installed here under the names that they had before.
  const script = stdout
    .replace(`'@libp2p/noise'`, `'@chainsafe/libp2p-noise'`)
    .replace(`'@libp2p/yamux'`, `'@chainsafe/libp2p-yamux'`)
  const place = join(repositoryRoot, 'dist', 'test')
  await mkdir(place, { recursive: true })
  const file = join(place, `snippet-${process.pid}.mjs`)
  const ending = '\nconsole.log(helia.libp2p.getPeers().join())\nprocess.exit()\n'
  await writeFile(file, script + ending)
  try {
    const ran = await promisify(execFile)(process.execPath, [file], { timeout: 80_000 })
    expect(ran.stdout.trim()).toBe(edge.peerId)
  } finally {
    await rm(file)
  }
}, 90_000)
