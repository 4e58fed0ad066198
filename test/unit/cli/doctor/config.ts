import type { Config } from '#src/config/config.ts'
import type { Environment } from '#src/config/environment.ts'
import { loadConfig } from '#src/config/load.ts'

/** Returns the configuration of an environment with one backend, on a machine that has every file. */
export function configOf(env: Environment = {}): Config {
  const machine = { readFile: () => '', exists: () => true, ipv6: false, isTerminal: false, cwd: '/srv' }
  const loaded = loadConfig({ KITSUNE_BACKENDS: 'http://10.0.0.11:5001', ...env }, machine)
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}
