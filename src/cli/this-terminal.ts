import process from 'node:process'
import type { Terminal } from '#src/cli/terminal.ts'
import { thisMachine } from '#src/config/machine.ts'

const widest = 110
const narrowest = 40

/** Returns where this process runs. */
export function thisTerminal(): Terminal {
  const columns = Math.min(widest, Math.max(narrowest, process.stdout.columns ?? widest))
  return {
    env: process.env,
    machine: thisMachine(process.stdout.isTTY === true),
    columns,
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    readStdin: async () => {
      const chunks: Uint8Array[] = []
      for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array)
      return Buffer.concat(chunks)
    },
    onSignal: (handler) => {
      const signals = ['SIGTERM', 'SIGINT'] as const
      const listeners = signals.map((signal) => [signal, () => handler(signal)] as const)
      for (const [signal, listener] of listeners) process.on(signal, listener)
      return () => {
        for (const [signal, listener] of listeners) process.off(signal, listener)
      }
    },
  }
}
