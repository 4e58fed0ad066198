import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createSocket } from 'node:dgram'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureBinary } from '#test/support/binary.ts'
import { poll, runEdgeToItsEnd, startEdgeProcess } from '#test/support/edge.ts'
import { rpcBehaviours, startRogueRpc } from '#test/support/rogue-backend.ts'

/** What an operator gets wrong: the executable says what, and what to do, and ends with the code that fits. */
const backends = 'http://127.0.0.1:1'
const usage = 1
const cannotStart = 2

let directory: string
let blocker: Server
let takenPort: number

beforeAll(async () => {
  await ensureBinary()
  directory = await mkdtemp(join(tmpdir(), 'kitsune-bad-start-'))
  blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  takenPort = (blocker.address() as AddressInfo).port
}, 180_000)

afterAll(async () => {
  blocker?.close()
  await chmod(join(directory, 'closed'), 0o700).catch(() => {})
  await rm(directory, { recursive: true, force: true })
})

const start = (env: Record<string, string | undefined>) =>
  runEdgeToItsEnd({
    from: 'binary',
    env: { KITSUNE_BACKENDS: backends, KITSUNE_DATA_DIR: join(directory, 'data'), ...env },
  })

/** A message for people: one cause, no stack, no internals. */
function expectForPeople(stderr: string): void {
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(stderr).not.toMatch(/internal error|bunfs|node_modules|undefined/)
  expect(stderr.length).toBeLessThan(2_000)
}

async function keyFile(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content, { mode: 0o600 })
  return path
}

describe('a bad start', () => {
  test.each([
    ['empty', ''],
    ['a line of blanks', ' \n\n'],
    ['noise', new Uint8Array(64).fill(7)],
    ['half a key', 'CAESQK'],
    ['a public key', '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n'],
    ['a JSON file without a key', '{"Identity":{}}'],
  ])('a key file that is %s', async (name, content) => {
    const path = await keyFile(name.replaceAll(' ', '-'), content)
    const { outcome, stderr } = await start({ KITSUNE_KEY_FILE: path })
    expect(outcome).toBe(usage)
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(path)
    expectForPeople(stderr)
  })

  test('a key file that is not there', async () => {
    const path = join(directory, 'nowhere.key')
    const { outcome, stderr } = await start({ KITSUNE_KEY_FILE: path })
    expect(outcome).toBe(usage)
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(path)
    expectForPeople(stderr)
  })

  test.each([
    ['KITSUNE_LISTEN', (port: number) => `/ip4/127.0.0.1/tcp/${port}`],
    ['KITSUNE_LISTEN', (port: number) => `/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/${port}/ws`],
    ['KITSUNE_ADMIN_LISTEN', (port: number) => `127.0.0.1:${port}`],
  ])('%s names a port in use (%p)', async (variable, value) => {
    const { outcome, stderr } = await start({ [variable]: value(takenPort) })
    expect(outcome).toBe(cannotStart)
    expect(stderr).toMatch(/in use|another process/i)
    expect(stderr).toContain(String(takenPort))
    expect(stderr).toContain(variable)
    expectForPeople(stderr)
  })

  test('a listener on an address that this machine does not have', async () => {
    const { outcome, stderr } = await start({ KITSUNE_LISTEN: '/ip4/203.0.113.9/tcp/4001' })
    expect(outcome).toBe(cannotStart)
    expect(stderr).toContain('KITSUNE_LISTEN')
    expectForPeople(stderr)
  })

  test('a UDP port in use says who has it', async () => {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    const { port } = socket.address()
    const { outcome, stderr } = await start({ KITSUNE_LISTEN: `/ip4/127.0.0.1/udp/${port}/quic-v1` })
    socket.close()
    expect(outcome).toBe(cannotStart)
    const holder = process.platform === 'linux' ? `(pid ${process.pid})` : 'another process'
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(holder)
    expect(stderr).toContain(`/ip4/127.0.0.1/udp/${port}/quic-v1: `)
    expectForPeople(stderr)
  })

  test('native code that cannot be unpacked: which door, and what to set', async () => {
    const listen = '/ip4/127.0.0.1/udp/0/quic-v1'
    const { outcome, stderr } = await start({ KITSUNE_LISTEN: listen, TMPDIR: join(directory, 'nowhere') })
    expect(outcome).toBe(cannotStart)
    const text = stderr.replaceAll(/\s+/g, ' ')
    expect(text).toContain(`${listen}: its native code cannot be unpacked`)
    expect(text).toContain('set TMPDIR')
    expectForPeople(stderr)
  })

  test('every door that cannot be opened is told at once, each with its reason, and no other', async () => {
    const listen = `/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/${takenPort},/ip4/203.0.113.9/tcp/0/ws`
    const { outcome, stderr } = await start({ KITSUNE_LISTEN: listen })
    expect(outcome).toBe(cannotStart)
    expect(stderr).toContain(`  /ip4/127.0.0.1/tcp/${takenPort}: the port is in use by `)
    expect(stderr).toContain('  /ip4/203.0.113.9/tcp/0/ws: no interface')
    expect(stderr).not.toContain('/ip4/127.0.0.1/tcp/0')
    expectForPeople(stderr)
  })

  test.each([
    ['a ? behind each', '?', undefined],
    ['KITSUNE_LISTEN_OPTIONAL', '', 'quic-v1,ws'],
  ])(
    'doors that are optional (%s) are a warning and a metric',
    async (_, mark, optional) => {
      const quic = '/ip4/127.0.0.1/udp/0/quic-v1'
      const ws = `/ip4/127.0.0.1/tcp/${takenPort}/ws`
      const edge = await startEdgeProcess({
        from: 'binary',
        backends: [backends],
        env: {
          KITSUNE_LISTEN: `/ip4/127.0.0.1/tcp/0,${quic}${mark},${ws}${mark}`,
          KITSUNE_LISTEN_OPTIONAL: optional,
          TMPDIR: join(directory, 'nowhere'),
        },
      })
      try {
        const warned = edge.logs.filter(({ msg }) => msg === 'A door that is optional stays closed')
        expect(warned.map(({ level, listen, reason }) => [level, listen, reason])).toEqual([
          ['warn', quic, expect.stringContaining('set TMPDIR')],
          ['warn', ws, expect.stringContaining('the port is in use by')],
        ])
        const cipher = edge.logs.find(({ msg }) => String(msg).includes('native cipher did not load'))
        expect(cipher?.reason).toContain('set TMPDIR')
        const metrics = await (await fetch(`${edge.admin}/metrics`)).text()
        const states = [...metrics.matchAll(/^kitsune_door_open\{.*transport="([^"]+)".*\} (\d)$/gm)]
        expect(states.map(([, kind, state]) => `${kind} ${state}`)).toEqual(['tcp 1', 'quic-v1 0', 'ws 0'])
        expect(await edge.end()).toBe(0)
      } finally {
        await edge.stop()
      }
    },
    40_000,
  )

  test.each([
    [
      'a directory that is not there',
      (room: string) => join(room, 'none', 'admin.sock'),
      'no such directory',
    ],
    ['a file', (room: string) => join(room, 'plain'), 'it is no socket'],
  ])('an admin socket at %s', async (_, path, text) => {
    await keyFile('plain', 'x')
    const at = path(directory)
    const { outcome, stderr } = await start({
      KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0',
      KITSUNE_ADMIN_LISTEN: `unix:${at}`,
    })
    expect(outcome).toBe(cannotStart)
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(text)
    expect(stderr.replaceAll(/\s+/g, '')).toContain(at)
    expectForPeople(stderr)
  })

  test('a path that is too long for a socket', async () => {
    const { outcome, stderr } = await start({ KITSUNE_ADMIN_LISTEN: `unix:/${'x'.repeat(120)}` })
    expect(outcome).toBe(usage)
    expect(stderr).toContain('has a path of 121 bytes')
  })

  test('a data directory that is a file', async () => {
    const path = await keyFile('not-a-directory', 'x')
    const { outcome, stderr } = await start({ KITSUNE_DATA_DIR: path })
    expect(outcome).toBe(cannotStart)
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(path)
    expectForPeople(stderr)
  })

  // Root may write everywhere, so below it only what nobody may do is left to try.
  test.skipIf(process.getuid?.() === 0)('a data directory without permission', async () => {
    const path = join(directory, 'closed')
    await mkdir(path, { mode: 0o500 })
    const { outcome, stderr } = await start({ KITSUNE_DATA_DIR: join(path, 'data') })
    expect(outcome).toBe(cannotStart)
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(path)
    expectForPeople(stderr)
  })

  test('a data directory where nothing can be made', async () => {
    const { outcome, stderr } = await start({ KITSUNE_DATA_DIR: '/proc/kitsune' })
    expect(outcome).toBe(cannotStart)
    expect(stderr).toContain('/proc/kitsune')
    expectForPeople(stderr)
  })

  test('no backends, a bare number and a misspelt name are told at once', async () => {
    const { outcome, stderr } = await start({
      KITSUNE_BACKENDS: undefined,
      KITSUNE_DRAIN: '30',
      KITSUNE_BACKEND: 'http://127.0.0.1:5001',
    })
    expect(outcome).toBe(usage)
    for (const name of ['KITSUNE_BACKENDS', 'KITSUNE_DRAIN', 'KITSUNE_BACKEND'])
      expect(stderr).toContain(name)
    expectForPeople(stderr)
  })

  test.each(['html', 'hang', 'fail', 'endless'] as const)(
    'an RPC that answers %s is a warning, not an end: readyz says why',
    async (how) => {
      const rpc = await startRogueRpc(rpcBehaviours[how])
      const edge = await startEdgeProcess({ from: 'binary', backends: [rpc.url] })
      try {
        const known = await poll(
          edge.readiness,
          ({ backends: [first] }) => first?.reason !== undefined && !/not connected/.test(first.reason),
          20_000,
        )
        expect(known).toMatchObject({ status: 503, ready: false })
        console.log(`${how}: ${known.backends[0]?.reason}`)
        expect(known.backends[0]?.reason).not.toMatch(/undefined|\[object/)
        expect(edge.logs.filter(({ level }) => level === 'warn').length).toBeGreaterThan(0)
        expect(await edge.end()).toBe(0)
      } finally {
        await edge.stop()
        await rpc.stop()
      }
    },
    40_000,
  )
})
