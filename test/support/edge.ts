/**
 * The edge as operators run it: the real program in a process of its own, on free ports, from its sources (Bun or
 * Deno) or compiled.
 *
 * Each edge has a data directory of its own that goes with it; `stop()` and `kill()` end it by its pid.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureBinary } from '#test/support/binary.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { type EdgeMetrics, parseEdgeMetrics } from '#test/support/edge-metrics.ts'
import {
  type Ended,
  type ProcessLine,
  startProcess,
  type TestProcess,
  untilEnded,
} from '#test/support/process.ts'

/** What runs: the sources on Bun or on Deno, or the compiled executable. */
export type EdgeForm = 'source' | 'binary' | 'deno'

/** How to start an edge. */
export interface EdgeProcessOptions {
  readonly from?: EdgeForm
  /** `KITSUNE_BACKENDS`. */
  readonly backends: readonly string[]
  /** More variables, over the defaults of a test edge. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** What `readyz` answers. */
export interface EdgeReadiness {
  readonly status: number
  readonly ready: boolean
  readonly draining: boolean
  readonly reason?: string
  readonly backends: readonly { readonly name: string; readonly state: string; readonly reason?: string }[]
}

/** A running edge. */
export interface EdgeProcess {
  readonly process: TestProcess
  readonly peerId: string
  /** Multiaddrs with /p2p/…. */
  readonly tcp: string
  readonly ws: string
  /** Those of every door, these two among them. */
  readonly addresses: readonly string[]
  /** `http://127.0.0.1:PORT` of the admin API. */
  readonly admin: string
  /** `http://127.0.0.1:PORT` of the front's WebSocket listener. */
  readonly web: string
  /** What it logged so far. */
  readonly logs: readonly ProcessLine[]
  metrics(): Promise<EdgeMetrics>
  readiness(): Promise<EdgeReadiness>
  /** Resolves with the first metrics that satisfy `holds`; rejects with the last ones after `timeoutMs`. */
  untilMetrics(holds: (metrics: EdgeMetrics) => boolean, timeoutMs?: number): Promise<EdgeMetrics>
  /** Resolves once so many backends (default: all) are ready. */
  untilReady(backends?: number, timeoutMs?: number): Promise<void>
  /** Sends a signal and resolves with the exit code, or with SIGKILL when it did not end in `timeoutMs`. */
  end(signal?: NodeJS.Signals, timeoutMs?: number): Promise<number | string>
  /** Ends it, gently and then not, and removes its data. Idempotent. */
  stop(): Promise<void>
}

/** Starts an edge; resolves once it listens. */
export async function startEdgeProcess(options: EdgeProcessOptions): Promise<EdgeProcess> {
  const dataDir = await mkdtemp(join(tmpdir(), 'kitsune-edge-'))
  const { command, args } = await edgeCommand(options.from ?? 'source')
  const child = await startProcess(command, args, {
    cwd: dataDir,
    env: edgeEnvironment({
      KITSUNE_DATA_DIR: dataDir,
      KITSUNE_BACKENDS: options.backends.join(','),
      ...options.env,
    }),
    readyLine: (line) => line.msg === 'Kitsune listens',
    readyTimeoutMs: 30_000,
  })
  const { peer, listening, admin } = child.ready as unknown as {
    peer: string
    listening: string[]
    admin: { host: string; port: number } | undefined
  }
  const at = (door: string): string =>
    listening.find((address) => new RegExp(`/tcp/\\d+${door}/p2p/`).test(address)) ?? ''
  const ws = at('/ws')
  const origin = `http://127.0.0.1:${admin?.port}`
  const metrics = async (): Promise<EdgeMetrics> =>
    parseEdgeMetrics(await (await fetch(`${origin}/metrics`)).text())
  const readiness = async (): Promise<EdgeReadiness> => {
    const response = await fetch(`${origin}/readyz`)
    return { status: response.status, ...((await response.json()) as Omit<EdgeReadiness, 'status'>) }
  }
  const edge: EdgeProcess = {
    process: child,
    peerId: peer,
    tcp: at(''),
    ws,
    addresses: listening,
    admin: origin,
    web: `http://127.0.0.1:${/\/tcp\/(\d+)/.exec(ws)?.[1]}`,
    get logs() {
      return child.lines
    },
    metrics,
    readiness,
    untilMetrics: (holds, timeoutMs = 10_000) =>
      poll(metrics, holds, timeoutMs, (last) => `metrics: ${last?.summary()}`),
    async untilReady(backends = options.backends.length, timeoutMs = 20_000) {
      const enough = (now: EdgeReadiness): boolean =>
        now.backends.filter(({ state }) => state === 'ready').length >= backends
      await poll(readiness, enough, timeoutMs, (last) => `readyz: ${JSON.stringify(last)}`)
    },
    async end(signal = 'SIGTERM', timeoutMs = 20_000) {
      process.kill(child.pid, signal)
      const timer = setTimeout(() => void child.kill('SIGKILL'), timeoutMs)
      const outcome = await child.ended
      clearTimeout(timer)
      return outcome
    },
    async stop() {
      await child.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
  return edge
}

/** Runs an edge that is not expected to live; after `timeoutMs` it is killed, and the outcome is SIGKILL. */
export async function runEdgeToItsEnd(options: {
  readonly from?: EdgeForm
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs?: number
}): Promise<Ended> {
  const { command, args } = await edgeCommand(options.from ?? 'source')
  const child = spawn(command, args, { env: { ...process.env, ...edgeEnvironment(options.env) } })
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 15_000)
  return untilEnded(child).finally(() => clearTimeout(timer))
}

/** Asks again and again until the answer is right, without hammering; rejects after `timeoutMs`. */
export async function poll<T>(
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
  timeoutMs: number,
  describe: (last: T | undefined) => string = (last) => JSON.stringify(last),
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let last: T | undefined
  while (performance.now() < deadline) {
    last = await ask().catch(() => undefined)
    if (last !== undefined && isRight(last)) return last
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
  throw new Error(`not in ${timeoutMs} ms: ${isRight}; ${describe(last)}`)
}

async function edgeCommand(from: EdgeForm): Promise<{ command: string; args: string[] }> {
  const main = join(repositoryRoot, 'src', 'main.ts')
  if (from === 'binary') return { command: await ensureBinary(), args: ['run'] }
  if (from === 'source') return { command: process.execPath, args: [main, 'run'] }
  return { command: denoItself(), args: ['run', '-A', main, 'run'] }
}

/** The npm package's `deno` is a script that waits for the real one and passes no signal on. */
function denoItself(): string {
  const script = join(repositoryRoot, 'node_modules', '.bin', 'deno')
  return execFileSync(script, ['eval', 'console.log(Deno.execPath())'], { encoding: 'utf8' }).trim()
}

/** The variables of a test edge; the test's own KITSUNE_* (which tests to require) are taken away. */
function edgeEnvironment(
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = {}
  for (const name of Object.keys(process.env)) if (name.startsWith('KITSUNE_')) env[name] = undefined
  return {
    ...env,
    STATE_DIRECTORY: undefined,
    KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/ws',
    KITSUNE_ADMIN_LISTEN: '127.0.0.1:0',
    KITSUNE_LOG_FORMAT: 'json',
    ...own,
  }
}
