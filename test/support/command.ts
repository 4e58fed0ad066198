/**
 * A command of the executable that ends by itself: what it printed, and its exit code.
 */
import { spawn } from 'node:child_process'
import { ensureBinary } from '#test/support/binary.ts'
import { type Ended, untilEnded } from '#test/support/process.ts'

/** Runs `kitsune ARGS`; of the test's own environment it gets no KITSUNE_*. After 30 s it is killed. */
export async function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('KITSUNE_'))
  const child = spawn(await ensureBinary(), args, {
    env: { ...Object.fromEntries(inherited), STATE_DIRECTORY: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  })
  return untilEnded(child)
}
