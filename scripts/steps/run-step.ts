import { spawn } from 'node:child_process'

/** What running one step came to. */
export interface StepResult {
  readonly ok: boolean
  readonly output: string
  readonly seconds: number
}

/**
 * Runs a command, shows its output as it comes, and returns what it came to. Never rejects: a command that
 * cannot be started has failed.
 */
export function runStep(
  title: string,
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<StepResult> {
  const startedMs = performance.now()
  console.log(`\n▶ ${title}`)
  return new Promise((resolve) => {
    const child = spawn(command, [...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const show = (chunk: Buffer): void => {
      output += chunk.toString()
      process.stdout.write(chunk)
    }
    child.stdout.on('data', show)
    child.stderr.on('data', show)
    const end = (ok: boolean): void => {
      const seconds = (performance.now() - startedMs) / 1000
      console.log(`${ok ? '✔' : '✘'} ${title} (${seconds.toFixed(1)} s)`)
      resolve({ ok, output, seconds })
    }
    child.on('error', (error) => {
      console.error(String(error))
      end(false)
    })
    child.on('close', (code) => end(code === 0))
  })
}
