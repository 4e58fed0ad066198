/**
 * A child process that talks JSON lines on stdout: what every test peer, and the edge itself, is to a test.
 *
 * It owns the child: `stop()` ends it by its pid, and since the child's stdin is a pipe of ours, a peer that
 * watches its stdin ends with the test process even when nobody calls `stop()`. Memory is bounded by
 * `maxLines` and `maxLogBytes`; the oldest goes first.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

const maxLines = 20_000
const maxLogBytes = 64 * 1024

/** One line of stdout: its JSON object, or `{ text }` where it was none. */
export type ProcessLine = Readonly<Record<string, unknown>>

/** How to start a child. */
export interface ProcessOptions {
  /** Added to this process's environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** Which line says that it is ready; default: the first with `event: "ready"`. */
  readonly readyLine?: (line: ProcessLine) => boolean
  /** Default 20 s: a cold Go or Node start on a busy two-core machine takes some. */
  readonly readyTimeoutMs?: number
}

/** A running (or ended) child. */
export interface TestProcess {
  readonly pid: number
  /** The lines so far, oldest first. */
  readonly lines: readonly ProcessLine[]
  /** The line that `readyLine` matched. */
  readonly ready: ProcessLine
  /** Resolves once it has ended, with its exit code or the signal that ended it. */
  readonly ended: Promise<number | string>
  /** The end of what it wrote to stderr. */
  log(): string
  /** Writes one JSON line to its stdin. */
  send(line: ProcessLine): void
  /**
   * Resolves with the first line, past or future, that matches.
   * Rejects when the time is over or the child has ended without one; the error carries its log.
   */
  waitFor(predicate: (line: ProcessLine) => boolean, timeoutMs: number): Promise<ProcessLine>
  /** Sends it a signal, SIGKILL by default, and resolves once it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Closes its stdin, sends SIGTERM, after `graceMs` (5 s) SIGKILL; resolves once it is gone. Idempotent. */
  stop(graceMs?: number): Promise<void>
}

/** Starts a child and resolves once it is ready; one that does not get ready is ended and reported. */
export async function startProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<TestProcess> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const lines: ProcessLine[] = []
  const watchers = new Set<(line: ProcessLine | undefined) => void>()
  let log = ''
  let end: number | string | undefined

  const tell = (line: ProcessLine | undefined): void => {
    for (const watcher of [...watchers]) watcher(line)
  }
  const ended = new Promise<number | string>((resolve) => {
    const settle = (outcome: number | string): void => {
      end ??= outcome
      resolve(end)
      tell(undefined)
    }
    child.once('error', (err) => settle(err.message))
    child.once('close', (code, signal) => settle(code ?? signal ?? 'unknown'))
  })
  child.stdin.on('error', () => {}) // it may end while we write
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-maxLogBytes)
  })
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = parseLine(text)
    lines.push(line)
    if (lines.length > maxLines) lines.shift()
    tell(line)
  })

  const waitFor: TestProcess['waitFor'] = (predicate, timeoutMs) =>
    new Promise((resolve, reject) => {
      const past = lines.find(predicate)
      if (past !== undefined) return resolve(past)
      const fail = (reason: string): void => {
        const last = JSON.stringify(lines.at(-1))
        reject(new Error(`${command} ${args[0] ?? ''}: ${reason}; last line ${last}; stderr:\n${log}`))
      }
      if (end !== undefined) return fail(`ended (${end})`)
      const finish = (): void => {
        clearTimeout(timer)
        watchers.delete(watcher)
      }
      const watcher = (line: ProcessLine | undefined): void => {
        if (line !== undefined && !predicate(line)) return
        finish()
        if (line === undefined) fail(`ended (${end})`)
        else resolve(line)
      }
      const timer = setTimeout(() => {
        finish()
        fail(`no such line in ${timeoutMs} ms`)
      }, timeoutMs)
      watchers.add(watcher)
    })

  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (end === undefined) child.kill(signal)
    await ended
  }
  const stop = async (graceMs = 5000): Promise<void> => {
    if (end !== undefined) return
    child.stdin.end()
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await ended
    clearTimeout(timer)
  }

  const isReady = options.readyLine ?? ((line: ProcessLine) => line.event === 'ready')
  try {
    const ready = await waitFor(isReady, options.readyTimeoutMs ?? 20_000)
    const send = (line: ProcessLine): void => void child.stdin.write(`${JSON.stringify(line)}\n`)
    return { pid: child.pid ?? -1, lines, ready, ended, log: () => log, send, waitFor, kill, stop }
  } catch (err) {
    await kill()
    throw err
  }
}

function parseLine(text: string): ProcessLine {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as ProcessLine
  } catch {
    // not JSON: kept as text
  }
  return { text }
}

/** What a child that ends by itself left behind. */
export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly outcome: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Resolves when a child that was just started has ended. */
export async function untilEnded(
  child: ChildProcess & { readonly stdout: Readable; readonly stderr: Readable },
): Promise<Ended> {
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const outcome = await new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  return { outcome, stdout, stderr }
}
