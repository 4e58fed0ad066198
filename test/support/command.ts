/**
 * A command of the executable that ends by itself: what it printed, and its exit code.
 */
import { spawn } from 'node:child_process'
import { ensureBinary } from '#test/support/binary.ts'

export interface CommandResult {
  /** The exit code, or the signal that ended it: SIGKILL after 30 s. */
  readonly outcome: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Runs `kitsune ARGS`; of the test's own environment it gets no KITSUNE_*. */
export async function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<CommandResult> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('KITSUNE_'))
  const child = spawn(await ensureBinary(), args, {
    env: { ...Object.fromEntries(inherited), STATE_DIRECTORY: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  })
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
