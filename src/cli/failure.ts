import { type ExitCode, exitCodes, type Terminal, wrap } from '#src/cli/terminal.ts'
import type { Problem } from '#src/config/environment.ts'
import { describeError, KitsuneError } from '#src/util/errors.ts'

/** What the operating system says when a listener cannot be opened, and what to do about it. */
const startFaults: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'The port is in use. Stop what uses it, or set KITSUNE_LISTEN and KITSUNE_ADMIN_LISTEN to other ports.',
  EADDRNOTAVAIL: 'This machine does not have that address. See KITSUNE_LISTEN and KITSUNE_ADMIN_LISTEN.',
  EACCES:
    'Permission is missing. Ports below 1024 need CAP_NET_BIND_SERVICE; files must belong to this user.',
}

/** The error of libp2p for listeners that could not be opened, all in one text with stack traces. */
const listenError = 'UnsupportedListenAddressesError'

/** Returns what went wrong in one line, without the stack traces that some libraries put into messages. */
function plain(error: unknown): string {
  const lines = describeError(error)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('at '))
  // The first line advises to set an option of libp2p, which nobody can set here.
  const addresses = lines
    .filter((line) => /^\/\S+: /.test(line))
    .map((line) => line.replace(': Error: ', ': '))
  return error instanceof Error && error.name === listenError && addresses.length > 0
    ? addresses.join('; ')
    : lines.join(' ')
}

/** Says what went wrong in one paragraph, with what to do, and returns the exit code that fits. */
export function explain(terminal: Terminal, error: unknown): ExitCode {
  const say = (text: string) => terminal.err(wrap(text, terminal.columns))
  if (terminal.env.KITSUNE_LOG_LEVEL === 'debug' || terminal.env.KITSUNE_LOG_LEVEL === 'trace') {
    terminal.err(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
  const fault = startFault(error)
  if (fault !== undefined) {
    say(`kitsune cannot start: ${plain(error).replace(/[.?]$/, '')}. ${fault}`)
    return exitCodes.cannotStart
  }
  if (error instanceof KitsuneError) {
    const { reasons, hint } = error.facts
    if (Array.isArray(reasons)) {
      say(`kitsune: ${error.message}:`)
      for (const reason of reasons) terminal.err(wrap(String(reason), terminal.columns, 2))
      if (hint !== undefined) say(String(hint))
    } else {
      say(`kitsune: ${sentence(error)}`)
    }
    return /^(KEY|CONFIG)_/.test(error.code) ? exitCodes.usage : exitCodes.cannotStart
  }
  say(
    `kitsune: internal error: ${plain(error)}. This is a fault of kitsune, not of yours; please report it. KITSUNE_LOG_LEVEL=debug shows where it happened.`,
  )
  return exitCodes.internal
}

function sentence(error: KitsuneError): string {
  const { hint = startFault(error.cause), reason, ...facts } = error.facts
  const details = Object.entries(facts).map(([name, value]) => `${name} ${String(value)}`)
  const where = details.length === 0 ? '' : ` (${details.join(', ')})`
  const cause = error.cause === undefined ? '' : `: ${plain(error.cause)}`
  const why = reason === undefined ? '' : `: ${String(reason)}`
  return `${error.message}${where}${why}${cause}.${hint === undefined ? '' : ` ${String(hint)}`}`
}

function startFault(error: unknown, depth = 0): string | undefined {
  if (!(error instanceof Error) || depth > 5 || error instanceof KitsuneError) return undefined
  const code = 'code' in error ? String(error.code) : ''
  if (Object.hasOwn(startFaults, code)) return startFaults[code]
  if (error.name === listenError) return 'Is another process using the port? See KITSUNE_LISTEN.'
  const inner = error instanceof AggregateError ? error.errors : []
  for (const next of [error.cause, ...inner]) {
    const found = startFault(next, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

/** Lists every problem of the environment with what is allowed and an example. */
export function explainProblems(terminal: Terminal, problems: readonly Problem[]): void {
  const count = problems.length === 1 ? 'One problem' : `${problems.length} problems`
  terminal.err(`${count} in the environment:`)
  for (const { variable, found, message, allowed, example } of problems) {
    const head =
      found.startsWith('(') || found === 'nothing' || found === '' ? variable : `${variable}: "${found}"`
    terminal.err('')
    terminal.err(wrap(`${head} ${message}`, terminal.columns, 2))
    terminal.err(wrap(`allowed: ${allowed}`, terminal.columns, 6))
    terminal.err(wrap(`example: ${example}`, terminal.columns, 6))
  }
}
