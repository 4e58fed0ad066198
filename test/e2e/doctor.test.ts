import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Finding } from '#src/cli/doctor/finding.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { runCommand } from '#test/support/command.ts'
import { poll, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'
import {
  type RogueRpc,
  rpcBehaviours,
  startRogueBackend,
  startRogueRpc,
} from '#test/support/rogue-backend.ts'

/** `kitsune doctor` on the executable, with what it needs pulled out from under it. */
const haveGo = requirePeer('go')
const tcp = '/ip4/127.0.0.1/tcp/0'

let room: string
let blocker: Server
let takenPort: number

beforeAll(async () => {
  await ensureBinary()
  if (haveGo) await goBinary()
  room = await mkdtemp(join(tmpdir(), 'kitsune-doctor-'))
  blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  takenPort = (blocker.address() as AddressInfo).port
}, 300_000)

afterAll(async () => {
  blocker?.close()
  await rm(room, { recursive: true, force: true })
})

interface Diagnosis {
  readonly outcome: number | string
  readonly ok: boolean
  readonly findings: readonly Finding[]
  /** The one finding about `what` whose text matches. */
  of(what: string, text: RegExp): Finding
}

async function diagnose(backends: string, env: Record<string, string> = {}): Promise<Diagnosis> {
  const { outcome, stdout, stderr } = await runCommand(['doctor', '--json'], {
    KITSUNE_BACKENDS: backends,
    KITSUNE_DATA_DIR: join(room, 'data'),
    KITSUNE_LISTEN: tcp,
    KITSUNE_ADMIN_LISTEN: `unix:${join(room, 'admin.sock')}`,
    ...env,
  })
  expect(stderr).toBe('')
  const { ok, findings } = JSON.parse(stdout) as Diagnosis
  const of = (what: string, text: RegExp): Finding => {
    const [found, ...more] = findings.filter((each) => each.about === what && text.test(each.text))
    if (found === undefined || more.length > 0) throw new Error(`${what} ${text}: ${stdout}`)
    return found
  }
  return { outcome, ok, findings, of }
}

describe.skipIf(!haveGo)('with a good backend', () => {
  let backend: GoServe
  beforeAll(async () => {
    backend = await startGoServe({ gatewayPort: 0 })
  }, 60_000)
  afterAll(() => backend?.stop())

  test('nothing fails, and it leaves no trace', async () => {
    const { outcome, ok, findings, of } = await diagnose(`${backend.rpc};gateway=${backend.gateway}`)
    expect(findings.filter(({ level }) => level === 'fail')).toEqual([])
    expect([outcome, ok]).toEqual([0, true])
    for (const name of ['sodium-native', '@chainsafe/libp2p-quic'])
      expect(of(`addon ${name}`, /./)).toMatchObject({ level: 'ok', text: 'loads' })
    expect(of(`door ${tcp}`, /can be opened/).level).toBe('ok')
    const about = `backend ${backend.rpc}`
    for (const text of [
      /^RPC answers/,
      /^clocks agree/,
      /^libp2p answers, ping [\d.]+ ms/,
      /^gateway answers/,
    ])
      expect(of(about, text).level).toBe('ok')
    // It has no settings to tell.
    expect(of(about, /^settings cannot be read/).level).toBe('warn')
    expect(await Bun.file(join(room, 'data')).exists()).toBe(false)
  }, 40_000)

  test('beside the edge that runs, whose ports and lanes are no fault', async () => {
    const admin = `unix:${join(room, 'admin.sock')}`
    const env = { KITSUNE_ADMIN_LISTEN: admin, KITSUNE_DATA_DIR: join(room, 'data') }
    const edge = await startEdgeProcess({ from: 'binary', backends: [backend.rpc], env })
    try {
      const listen = { KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/ws' }
      const { outcome, of } = await diagnose(backend.rpc, listen)
      expect(outcome).toBe(0)
      expect(of('edge', /runs here/).text).toBe(`${edge.peerId} runs here`)
      expect(of(`door ${tcp}`, /is open in the edge/).level).toBe('ok')
      await chmod(join(room, 'data', 'lanes.seed'), 0o644)
      expect((await diagnose(backend.rpc, listen)).of('data directory', /others may read/)).toMatchObject({
        level: 'warn',
        mend: `chmod 600 ${join(room, 'data', 'lanes.seed')}`,
      })
    } finally {
      await edge.stop()
    }
  }, 60_000)
})

describe('with settings that do harm', () => {
  /** A backend whose RPC tells `settings`, as Kubo does. */
  async function withSettings<T>(settings: object, work: (rpc: RogueRpc) => Promise<T>): Promise<T> {
    const backend = await startRogueBackend()
    const json = (response: ServerResponse, value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    const rpc = await startRogueRpc((request, response) => {
      if (request.url === '/api/v0/config/show') json(response, settings)
      else json(response, { ID: backend.peerId, Addresses: [backend.addr], AgentVersion: 'kubo/0.39.0/' })
    })
    try {
      return await work(rpc)
    } finally {
      await rpc.stop()
      await backend.stop()
    }
  }

  test('each is told with the command that mends it', async () => {
    const settings = {
      Bitswap: { ServerEnabled: false },
      Swarm: { AddrFilters: ['/ip4/127.0.0.0/ipcidr/8'], ResourceMgr: {} },
      Internal: { Bitswap: { BroadcastControl: { LocalPeers: true } } },
    }
    await withSettings(settings, async ({ url }) => {
      const { outcome, of } = await diagnose(url, { KITSUNE_LANES: '9' })
      const about = `backend ${url}`
      const mend = (text: RegExp) => of(about, text).mend ?? ''
      expect(outcome).toBe(1)
      expect(mend(/ServerEnabled/)).toContain("ipfs config --json Bitswap.ServerEnabled 'true'")
      expect(mend(/AddrFilters/)).toContain("ipfs config --json Swarm.AddrFilters '[]'")
      expect(mend(/9 lanes are more/)).toContain('["/ip4/127.0.0.1/ipcidr/32"]')
      expect(mend(/LocalPeers/)).toContain("LocalPeers 'false'")
      expect(of(about, /Peering\.Peers lacks/).level).toBe('warn')
    })
  }, 40_000)

  test('none, and nothing fails', async () => {
    await withSettings({ Routing: { Type: 'none' } }, async ({ url }) => {
      const { outcome, findings, of } = await diagnose(url)
      expect(of(`backend ${url}`, /tells the lanes what it wants/).level).toBe('ok')
      // The rogue tells no time that is wrong; all there is to look at is what this machine lacks.
      expect(findings.filter(({ level, about }) => level !== 'ok' && about.startsWith('backend'))).toEqual([])
      expect(outcome).toBe(0)
    })
  }, 40_000)
})

test('as text: what fails, with its command in one line, and the count', async () => {
  const listen = `/ip4/127.0.0.1/tcp/${takenPort},/ip4/203.0.113.9/tcp/0?`
  const other = await startRogueRpc(rpcBehaviours.html)
  const { outcome, stdout } = await runCommand(['doctor'], {
    KITSUNE_BACKENDS: 'http://127.0.0.1:1',
    KITSUNE_DATA_DIR: join(room, 'fresh'),
    KITSUNE_LISTEN: listen,
    KITSUNE_ADMIN_LISTEN: new URL(other.url).host,
    KITSUNE_MAX_CONNECTIONS: '1000000',
    TMPDIR: '/nonexistent',
  })
  await other.stop()
  expect(outcome).toBe(1)
  const text = stdout.replaceAll(/\n {6}(?!mend)/g, ' ')
  expect(text).toContain('FAIL  temporary directory: /nonexistent cannot be written')
  expect(text).toMatch(/warn {2}addon sodium-native: does not load/)
  expect(text).toMatch(/FAIL {2}open files: .*\n {6}mend: ulimit -n \d+ .*LimitNOFILE=/)
  const holder = process.platform === 'linux' ? `.* \\(pid ${process.pid}\\)` : 'another process'
  expect(text).toMatch(
    new RegExp(`FAIL  door /ip4/127.0.0.1/tcp/${takenPort}: ${holder} has the port\n      mend: ss -tlnp`),
  )
  expect(text).toMatch(/warn {2}door \/ip4\/203\.0\.113\.9\/tcp\/0: no interface has the address/)
  expect(text).toMatch(/FAIL {2}backend http:\/\/127\.0\.0\.1:1: RPC: the RPC cannot be reached/)
  expect(text).toContain('edge: none runs here (127.0.0.1:')
  expect(text).toMatch(/FAIL {2}door \/ip4\/127\.0\.0\.1\/tcp\/\d+: .* has the port\n.*KITSUNE_ADMIN_LISTEN/)
  expect(text).toMatch(/\d+ ok, 2 to look at, 5 failed/)
}, 40_000)

test('W^X, as systemd can impose it, is a failure for doctor and a warning for run', async () => {
  // What the runtime does where it may not have memory that can be written and executed.
  const env = { BUN_JSC_useJIT: '0' }
  const { outcome, of } = await diagnose('http://127.0.0.1:1', env)
  expect(outcome).toBe(1)
  expect(of('compiler', /W\^X/)).toMatchObject({
    level: 'fail',
    mend: expect.stringContaining('MemoryDenyWriteExecute=no'),
  })
  const edge = await startEdgeProcess({ from: 'binary', backends: ['http://127.0.0.1:1'], env })
  try {
    await poll(
      async () => edge.process.log(),
      (log) => log.includes('MemoryDenyWriteExecute=no'),
      10_000,
    )
  } finally {
    await edge.stop()
  }
  expect((await diagnose('http://127.0.0.1:1')).of('compiler', /./).level).toBe('ok')
}, 60_000)

test('a wrong environment is explained as everywhere', async () => {
  const { outcome, stdout, stderr } = await runCommand(['doctor'], { KITSUNE_LANES: '99' })
  expect([outcome, stdout]).toEqual([1, ''])
  expect(stderr).toContain('KITSUNE_LANES')
})
