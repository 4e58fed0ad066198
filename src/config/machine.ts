import { existsSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { Machine } from '#src/config/environment.ts'

/** Returns the machine this process runs on. */
export function thisMachine(isTerminal: boolean): Machine {
  return {
    readFile: (path, encoding) => readFileSync(path, encoding ?? 'utf8'),
    exists: existsSync,
    // Loopback counts: where the kernel has IPv6 at all, `::` can be listened on.
    ipv6: Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some(({ family }) => family === 'IPv6'),
    ),
    isTerminal,
    cwd: process.cwd(),
  }
}
