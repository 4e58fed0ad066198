#!/usr/bin/env bun
import process from 'node:process'
import { tuneRuntime } from '#src/cli/runtime-tuning.ts'
import type { ExitCode } from '#src/cli/terminal.ts'

const args = process.argv.slice(2)
const [command = 'run', ...rest] = args

/** Loads no more than the command needs: an edge is to listen soon, and it has nothing to parse. */
async function obey(): Promise<ExitCode> {
  const { thisTerminal } = await import('#src/cli/this-terminal.ts')
  const terminal = thisTerminal()
  if (command === 'run' && rest.length === 0) {
    const { run } = await import('#src/cli/run.ts')
    return run(terminal)
  }
  const { runProgram } = await import('#src/cli/program.ts')
  return runProgram(args, terminal)
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()))
}

// Before anything else is loaded, because it would be loaded again.
if (command === 'run') tuneRuntime()
const code = await obey()
// Libraries may leave timers and sockets behind, so the end is said outright, once all output is out.
await Promise.all([flush(process.stdout), flush(process.stderr)])
process.exit(code)
