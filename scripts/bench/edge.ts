/** The edge under test: the compiled executable in a process of its own, or the source where it is to be profiled. */
import { join, resolve } from 'node:path'
import { ensureBinary } from '#test/support/binary.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { startProcess, type TestProcess } from '#test/support/process.ts'
import type { Lab } from './lab.ts'
import { withScratch } from './scratch.ts'
import type { Subject } from './subjects.ts'

export interface EdgeOptions {
  /** `KITSUNE_BACKENDS`. */
  readonly backends: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Profile into this directory; runs from source. */
  readonly profileInto?: string
  /** A data directory that is kept; default: a new one that goes with the edge. */
  readonly dataDir?: string
  /** Not waiting for backends: there are none. */
  readonly alone?: boolean
}

export interface Edge extends Subject {
  readonly process: TestProcess
  /** Where it listens, each with /p2p/…. */
  readonly addresses: readonly string[]
  /** From starting the process to its saying that it listens. */
  readonly startMs: number
  /** Since its process was started. */
  ageSeconds(): number
}

/** All clients of a bench come from one address, and none of them is to be turned away. */
const benchEnvironment = {
  KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/ws',
  KITSUNE_ADMIN_LISTEN: '127.0.0.1:0',
  KITSUNE_LOG_FORMAT: 'json',
  KITSUNE_DRAIN: '1s',
  KITSUNE_MAX_CONNECTIONS: '100000',
  KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: '100000',
}
/** An idle loop of this length is fine-grained enough for what takes tens of milliseconds. */
const askEveryMs = 20
const readyWithinMs = 20_000

/** Starts an edge; resolves once every backend is ready. */
export function startEdge(lab: Lab, options: EdgeOptions): Promise<Edge> {
  const { dataDir } = options
  if (dataDir !== undefined) return startIn(dataDir, lab, options)
  return withScratch((directory) => startIn(directory, lab, options))
}

async function startIn(dataDir: string, lab: Lab, options: EdgeOptions): Promise<Edge> {
  const { command, args } = await edgeCommand(lab, options.profileInto)
  const beganMs = performance.now()
  const child = await startProcess(command, args, {
    cwd: dataDir,
    env: {
      ...withoutOwnVariables(),
      ...benchEnvironment,
      KITSUNE_DATA_DIR: dataDir,
      KITSUNE_BACKENDS: options.backends.join(','),
      ...options.env,
    },
    readyLine: (line) => line.msg === 'Kitsune listens',
    readyTimeoutMs: 30_000,
  })
  const startMs = performance.now() - beganMs
  const { listening, admin } = child.ready as unknown as { listening: string[]; admin: { port: number } }
  const at = (door: string): string =>
    listening.find((address) => new RegExp(`/tcp/\\d+${door}/p2p/`).test(address)) ?? ''
  const ws = at('/ws')
  const edge: Edge = {
    kind: 'edge',
    process: child,
    pid: child.pid,
    startMs,
    ageSeconds: () => (performance.now() - beganMs) / 1000,
    addresses: listening,
    tcp: at(''),
    ws,
    web: `http://127.0.0.1:${/\/tcp\/(\d+)/.exec(ws)?.[1]}`,
    stop: () => child.stop(),
  }
  try {
    if (options.alone !== true)
      await untilReady(`http://127.0.0.1:${admin.port}/readyz`, options.backends.length)
  } catch (error) {
    await edge.stop()
    throw error
  }
  return edge
}

async function edgeCommand(
  lab: Lab,
  profileInto: string | undefined,
): Promise<{ command: string; args: string[] }> {
  const { binary } = lab.options
  if (profileInto === undefined) {
    return { command: binary === undefined ? await ensureBinary() : resolve(binary), args: ['run'] }
  }
  const main = join(repositoryRoot, 'src', 'main.ts')
  return { command: process.execPath, args: ['--cpu-prof', `--cpu-prof-dir=${profileInto}`, main, 'run'] }
}

function withoutOwnVariables(): Record<string, undefined> {
  const own = Object.keys(process.env).filter((name) => name.startsWith('KITSUNE_'))
  return Object.fromEntries([...own, 'STATE_DIRECTORY'].map((name) => [name, undefined]))
}

async function untilReady(url: string, backends: number): Promise<void> {
  const deadlineMs = performance.now() + readyWithinMs
  let last = ''
  while (performance.now() < deadlineMs) {
    last = await fetch(url).then(
      (response) => response.text(),
      (error: Error) => error.message,
    )
    if ((last.match(/"state":\s*"ready"/g)?.length ?? 0) >= backends) return
    await new Promise((resolve) => setTimeout(resolve, askEveryMs))
  }
  throw new Error(`the edge's backends were not ready in ${readyWithinMs} ms: ${last}`)
}
