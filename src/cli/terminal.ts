import type { Environment, Machine } from '#src/config/environment.ts'

/** Where a command runs: all it may touch outside of itself, so that tests can stand in for it. */
export interface Terminal {
  readonly env: Environment
  readonly machine: Machine
  /** Width of the terminal in characters. */
  readonly columns: number
  /** Writes a line (or several) to standard output. */
  readonly out: (text: string) => void
  /** Writes a line (or several) to standard error. */
  readonly err: (text: string) => void
  readonly readStdin: () => Promise<Uint8Array>
  /** Calls back at each SIGTERM and SIGINT; the returned function ends that. */
  readonly onSignal: (handler: (signal: 'SIGTERM' | 'SIGINT') => void) => () => void
}

/** What a process says with its exit code: a contract, shown by --help. */
export const exitCodes = {
  clean: 0,
  /** The environment or the command line is wrong. */
  usage: 1,
  cannotStart: 2,
  /** A second signal came before the drain was finished. */
  cutShort: 3,
  internal: 70,
} as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** What each exit code means, for people. */
export const exitCodeTable: readonly (readonly [ExitCode, string])[] = [
  [exitCodes.clean, 'ended cleanly'],
  [
    exitCodes.usage,
    'the environment, a key or the command line is wrong; validate or doctor found a fault; addrs found no edge; the demo failed',
  ],
  [exitCodes.cannotStart, 'cannot start: a port is in use, a directory cannot be written'],
  [
    exitCodes.cutShort,
    'ended by a second signal before the drain was finished, or the demo by Ctrl-C before its verdict',
  ],
  [exitCodes.internal, 'internal error'],
]

/** Returns `text` broken at spaces into lines of at most `width` characters, each after `indent` spaces. */
export function wrap(text: string, width: number, indent = 0): string {
  const room = Math.max(20, width - indent)
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines.map((each) => ' '.repeat(indent) + each).join('\n')
}
