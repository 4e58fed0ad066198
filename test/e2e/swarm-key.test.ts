import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatSwarmKey } from '#src/config/swarm-key.ts'
import { ensureBinary } from '#test/support/binary.ts'
import { type EdgeProcess, runEdgeToItsEnd, startEdgeProcess } from '#test/support/edge.ts'
import { type GoServe, goFetch, startGoServe } from '#test/support/go-peer.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { seededFileDigest } from '#test/support/seeded-content.ts'

/** Private networks, with a real go-libp2p on either side of the executable. */

const haveGo = requirePeer('go')
const keep = keepUntilAfterEach()
const mebibyte = 1024 * 1024

let directory: string
let ours: string
let others: string

beforeAll(async () => {
  await ensureBinary()
  directory = await mkdtemp(join(tmpdir(), 'kitsune-swarm-key-'))
  ours = join(directory, 'ours')
  others = join(directory, 'others')
  await writeFile(ours, formatSwarmKey(new Uint8Array(32).fill(1)), { mode: 0o600 })
  await writeFile(others, formatSwarmKey(new Uint8Array(32).fill(2)), { mode: 0o600 })
}, 180_000)
afterAll(() => rm(directory, { recursive: true, force: true }))

async function startEdge(backend: GoServe, front?: string, back?: string): Promise<EdgeProcess> {
  return keep(
    await startEdgeProcess({
      from: 'binary',
      backends: [backend.rpc],
      env: { KITSUNE_SWARM_KEY_FILE: front, KITSUNE_BACK_SWARM_KEY_FILE: back, KITSUNE_LOG_LEVEL: 'debug' },
    }),
  )
}

describe.skipIf(!haveGo)('a private network', () => {
  test('256 MiB pass from a backend in one to clients in another, by TCP and WebSockets', async () => {
    const fileBytes = 256 * mebibyte
    const backend = keep(await startGoServe({ fileBytes, swarmKey: ours }))
    const edge = await startEdge(backend, others, ours)
    await edge.untilReady()
    for (const peer of [edge.tcp, edge.ws]) {
      const fetched = await goFetch({ peer, cid: backend.root ?? '', swarmKey: others, timeoutMs: 100_000 })
      expect(fetched.sha256).toBe(seededFileDigest(1, fileBytes))
    }
  }, 300_000)

  test('clients with another key, or none, are refused, and counted', async () => {
    const backend = keep(await startGoServe({ fileBytes: mebibyte }))
    const edge = await startEdge(backend, ours)
    await edge.untilReady()
    const cid = backend.root ?? ''
    for (const peer of [edge.tcp, edge.ws]) {
      await expect(goFetch({ peer, cid, swarmKey: others })).rejects.toThrow()
      await expect(goFetch({ peer, cid })).rejects.toThrow()
    }
    await edge.untilMetrics((metrics) => (metrics.refused('client')['wrong-swarm-key'] ?? 0) >= 4)
    const said = JSON.stringify(edge.logs)
    expect(said).toContain('the peer has a different swarm key')
    expect(said).toContain('the peer is in no private network')
    expect((await goFetch({ peer: edge.tcp, cid, swarmKey: ours })).sha256).toBe(
      seededFileDigest(1, mebibyte),
    )
  }, 60_000)

  test.each([
    ['another key', () => others],
    ['none', () => undefined],
  ])(
    'a backend with %s is not used, and the log says why',
    async (_, theirs) => {
      const swarmKey = theirs()
      const backend = keep(await startGoServe({ fileBytes: mebibyte, ...(swarmKey && { swarmKey }) }))
      const edge = await startEdge(backend, undefined, ours)
      await edge.process.waitFor(({ msg }) => msg === 'Backend cannot be reached', 20_000)
      const line = edge.logs.find(({ msg }) => msg === 'Backend cannot be reached')
      expect(String(line?.reason)).toContain('swarm key')
      await edge.untilMetrics((metrics) => (metrics.refused('backend')['wrong-swarm-key'] ?? 0) > 0)
      const { backends } = await edge.readiness()
      expect(backends.map(({ state }) => state)).not.toContain('ready')
    },
    60_000,
  )
})

describe('a start that would be public where it must not', () => {
  const fails = async (env: Record<string, string>): Promise<string> => {
    const { outcome, stderr } = await runEdgeToItsEnd({
      from: 'binary',
      env: { KITSUNE_BACKENDS: 'http://127.0.0.1:1', KITSUNE_DATA_DIR: directory, ...env },
    })
    expect(outcome).toBe(1)
    return stderr
  }

  test('fails with LIBP2P_FORCE_PNET=1 and no key, as Kubo does', async () => {
    const text = await fails({ LIBP2P_FORCE_PNET: '1' })
    expect(text).toContain('KITSUNE_SWARM_KEY')
    expect(text).toContain('KITSUNE_BACK_SWARM_KEY')
  })

  test('fails with a door that cannot be private, and with a key that cannot be read', async () => {
    const listen = '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1'
    const text = await fails({ KITSUNE_SWARM_KEY_FILE: ours, KITSUNE_LISTEN: listen })
    expect(text).toContain('/ip4/127.0.0.1/udp/0/quic-v1')
    expect(text).toContain('cannot be in a private network')
    const broken = join(directory, 'broken')
    await writeFile(broken, '/key/swarm/psk/1.0.0/\n/base16/\nfedcba98\n')
    const reason = await fails({ KITSUNE_SWARM_KEY_FILE: broken })
    expect(reason).toContain('a key of 4 bytes; it must be 32')
    expect(reason).not.toContain('fedcba98')
  })
})
