import { existsSync, readFileSync } from 'node:fs'
import type { Terminal } from '#src/cli/terminal.ts'
import type { Environment } from '#src/config/environment.ts'

/** A terminal that keeps what is written to it and sends signals when told to. */
export interface FakeTerminal extends Terminal {
  readonly output: string[]
  readonly errors: string[]
  /** Sends a signal to whoever listens. */
  readonly signal: (name?: 'SIGTERM' | 'SIGINT') => void
  /** Resolves once a line of standard error contains `text`. */
  readonly saysError: (text: string) => Promise<void>
}

/** Returns a terminal whose relative paths begin at `cwd`, on the real file system. */
export function fakeTerminal(env: Environment, options: { cwd: string; stdin?: Uint8Array }): FakeTerminal {
  const output: string[] = []
  const errors: string[] = []
  const handlers = new Set<(signal: 'SIGTERM' | 'SIGINT') => void>()
  const awaited: { text: string; resolve: () => void }[] = []
  return {
    env,
    machine: {
      readFile: (path, encoding) => readFileSync(path, encoding ?? 'utf8'),
      exists: existsSync,
      ipv6: true,
      isTerminal: false,
      cwd: options.cwd,
    },
    columns: 100,
    output,
    errors,
    out: (text) => void output.push(text),
    err: (text) => {
      errors.push(text)
      for (const { text: wanted, resolve } of awaited) if (text.includes(wanted)) resolve()
    },
    readStdin: async () => options.stdin ?? new Uint8Array(),
    onSignal: (handler) => {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },
    signal: (name = 'SIGTERM') => {
      if (handlers.size === 0) throw new Error('nobody listens for signals')
      for (const handler of handlers) handler(name)
    },
    saysError: (text) =>
      new Promise((resolve) => {
        if (errors.some((line) => line.includes(text))) resolve()
        else awaited.push({ text, resolve })
      }),
  }
}
