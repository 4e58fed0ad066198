import { compilesCode, wxMend, wxText } from '#src/cli/compiler.ts'
import { explain, explainProblems } from '#src/cli/failure.ts'
import { type ExitCode, exitCodes, type Terminal } from '#src/cli/terminal.ts'
import { type BuildVersion, buildVersion } from '#src/cli/version.ts'
import type { Config } from '#src/config/config.ts'
import { loadConfig } from '#src/config/load.ts'
import { formatDuration } from '#src/config/values.ts'
import type { Identity } from '#src/p2p/identity.ts'

/** What a running edge lets its command do. */
export interface EdgeHandle {
  /** Takes no new connections and resolves once nothing is pending. */
  drain(): Promise<void>
  stop(): Promise<void>
  /** Settles when the edge ends by itself. */
  readonly finished: Promise<void>
}

/** Starts an edge; it is there once it listens. */
export type EdgeStarter = (
  config: Config,
  options: { identity: Identity; laneSeed: Uint8Array; version: BuildVersion },
) => Promise<EdgeHandle>

async function startRealEdge(...args: Parameters<EdgeStarter>): Promise<EdgeHandle> {
  const { startEdge } = await import('#src/edge.ts')
  return startEdge(...args)
}

/** Runs an edge until a signal drains it, and returns how that ended. */
export async function run(terminal: Terminal, start: EdgeStarter = startRealEdge): Promise<ExitCode> {
  let signals: Signals | undefined
  try {
    const loaded = loadConfig(terminal.env, terminal.machine)
    if (loaded.kind === 'invalid') {
      explainProblems(terminal, loaded.problems)
      return exitCodes.usage
    }
    signals = watchSignals(terminal)
    return await runEdge(terminal, loaded.config, signals, start)
  } catch (error) {
    return explain(terminal, error)
  } finally {
    signals?.stop()
  }
}

interface Signals {
  readonly first: Promise<'first'>
  readonly second: Promise<'second'>
  readonly stop: () => void
}

function watchSignals(terminal: Terminal): Signals {
  const first = Promise.withResolvers<'first'>()
  const second = Promise.withResolvers<'second'>()
  let seen = 0
  const stop = terminal.onSignal(() => {
    seen += 1
    if (seen === 1) first.resolve('first')
    else second.resolve('second')
  })
  return { first: first.promise, second: second.promise, stop }
}

async function runEdge(
  terminal: Terminal,
  config: Config,
  signals: Signals,
  start: EdgeStarter,
): Promise<ExitCode> {
  const starting = prepare(terminal, config).then((parts) =>
    start(config, { ...parts, version: buildVersion() }),
  )
  const edge = await Promise.race([starting, signals.second])
  if (edge === 'second') {
    // Whatever becomes of the start, nobody waits for it any more.
    starting.catch(() => undefined)
    return exitCodes.cutShort
  }
  // Only now, so that no client waits for it.
  void compilesCode().then((compiles) => {
    if (compiles === false) terminal.err(`Warning: ${wxText}. To mend it: ${wxMend}`)
  })
  const ended = edge.finished.then(() => 'finished' as const)
  if ((await Promise.race([signals.first, ended])) === 'finished') return exitCodes.clean
  ended.catch(() => undefined)
  terminal.err(`Draining for at most ${formatDuration(config.drainMs)}; a second signal ends at once.`)
  const drained = await Promise.race([
    settle(
      edge.drain().then(() => 'drained' as const),
      config.drainMs,
    ),
    signals.second,
  ])
  if (drained === 'second') return exitCodes.cutShort
  if (drained === 'late') terminal.err('The drain took too long; what is still pending is dropped.')
  const stopped = await Promise.race([edge.stop(), signals.second])
  return stopped === 'second' ? exitCodes.cutShort : exitCodes.clean
}

/** Reads or makes what is kept on disk, and tells people what they should know about it. */
async function prepare(
  terminal: Terminal,
  config: Config,
): Promise<{ identity: Identity; laneSeed: Uint8Array }> {
  const { loadIdentity, loadLaneSeed } = await import('#src/p2p/identity.ts')
  const identity = await loadIdentity(config.identity)
  for (const warning of identity.warnings) terminal.err(`Warning: ${warning}`)
  if (identity.created) {
    terminal.err(
      `A new identity was made: ${identity.peerId.toString()}, kept in ${identity.origin}. Back it up.`,
    )
  }
  return { identity, laneSeed: await loadLaneSeed(config.dataDir) }
}

/** Resolves with the work's outcome, or with 'late' when it takes longer than `ms`. */
async function settle<T>(work: Promise<T>, ms: number): Promise<T | 'late'> {
  const late = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => late.resolve('late'), ms)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
