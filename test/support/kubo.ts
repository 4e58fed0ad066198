/**
 * A real Kubo daemon as backend, where `KITSUNE_TEST_KUBO` names an `ipfs` binary; none comes with the repository.
 *
 * Its repository is a temporary directory that goes with it. It listens on the loopback only and knows nobody: no
 * bootstrap, no routing, no discovery.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startProcess, type TestProcess } from '#test/support/process.ts'

const run = promisify(execFile)
const binary = process.env.KITSUNE_TEST_KUBO

/**
 * Whether Kubo's tests can run, for `describe.skipIf(!requireKubo())(…)`. Says so when they cannot, also where other
 * absent peers are a failure; a name that is no `ipfs` is one always.
 */
export function requireKubo(): boolean {
  if (binary === undefined || binary === '') {
    console.error('skipped: the tests with a real Kubo need KITSUNE_TEST_KUBO, the path of an ipfs binary')
    return false
  }
  const version = execFileSync(binary, ['version', '--number'], { encoding: 'utf8' }).trim()
  if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`KITSUNE_TEST_KUBO=${binary} is no ipfs: ${version}`)
  return true
}

/** A running daemon. */
export interface Kubo {
  readonly process: TestProcess
  readonly peerId: string
  /** `http://127.0.0.1:PORT` of the RPC. */
  readonly rpc: string
  /** SIGKILL. */
  kill(): Promise<void>
  stop(): Promise<void>
}

/** Settings of every version; the second list is for those that know them. */
const settings: [string, string][] = [
  ['Bootstrap', '[]'],
  ['Discovery.MDNS.Enabled', 'false'],
  ['Routing.Type', '"none"'],
  ['Swarm.DisableNatPortMap', 'true'],
  ['Swarm.RelayClient.Enabled', 'false'],
  ['Swarm.RelayService.Enabled', 'false'],
]
const newerSettings: [string, string][] = [
  ['AutoConf.Enabled', 'false'],
  ['AutoTLS.Enabled', 'false'],
  ['DNS.Resolvers', '{}'],
  ['Ipns.DelegatedPublishers', '[]'],
  ['Provide.Enabled', 'false'],
  ['Routing.DelegatedRouters', '[]'],
  ['Swarm.EnableHolePunching', 'false'],
]

/** Starts a daemon with an empty repository. */
export async function startKubo(): Promise<Kubo> {
  if (binary === undefined) throw new Error('KITSUNE_TEST_KUBO is not set')
  const repo = await mkdtemp(join(tmpdir(), 'kitsune-kubo-'))
  const env = { IPFS_PATH: repo, IPFS_TELEMETRY: 'off' }
  const ipfs = (...args: string[]) => run(binary, args, { env: { ...process.env, ...env } })
  try {
    await ipfs('init', '--empty-repo', '--profile=test')
    const [rpcPort, gatewayPort, swarmPort] = await freePorts(3)
    for (const [name, value] of [
      ...settings,
      ['Addresses.API', `"/ip4/127.0.0.1/tcp/${rpcPort}"`],
      ['Addresses.Gateway', `"/ip4/127.0.0.1/tcp/${gatewayPort}"`],
      ['Addresses.Swarm', `["/ip4/127.0.0.1/tcp/${swarmPort}"]`],
    ] as const) {
      await ipfs('config', '--json', name, value)
    }
    for (const [name, value] of newerSettings) await ipfs('config', '--json', name, value).catch(() => {})
    const child = await startProcess(binary, ['daemon'], {
      env,
      readyLine: ({ text }) => text === 'Daemon is ready',
      readyTimeoutMs: 60_000,
    })
    const forget = () => rm(repo, { recursive: true, force: true })
    return {
      process: child,
      peerId: (await ipfs('config', 'Identity.PeerID')).stdout.trim(),
      rpc: `http://127.0.0.1:${rpcPort}`,
      async kill() {
        await child.kill()
        await forget()
      },
      async stop() {
        await child.stop(20_000)
        await forget()
      },
    }
  } catch (error) {
    await rm(repo, { recursive: true, force: true })
    throw error
  }
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
