import { explain, explainProblems } from '#src/cli/failure.ts'
import { type ExitCode, exitCodes, type Terminal } from '#src/cli/terminal.ts'
import type { BackendConfig, Config, ConnectionSecurity } from '#src/config/config.ts'
import { loadConfig, type Setting } from '#src/config/load.ts'

const probeTimeoutMs = 5000

/** What came of dialling a backend. */
export type Probed =
  | { readonly ok: true; readonly peerId: string; readonly agent?: string; readonly ms: number }
  | { readonly ok: false; readonly reason: string }

/** Dials one backend and says what answered. */
export type Probe = (
  backend: BackendConfig,
  options: { timeoutMs: number; security: ConnectionSecurity },
) => Promise<Probed>

async function realProbe(...args: Parameters<Probe>): Promise<Probed> {
  const { probeBackend } = await import('#src/p2p/probe.ts')
  return probeBackend(...args)
}

/**
 * Prints the effective configuration, or everything that is wrong with it; with `connect`, what each backend
 * answers as well. A backend that does not answer is a fault.
 */
export async function validate(
  terminal: Terminal,
  options: { readonly connect: boolean },
  probe: Probe = realProbe,
): Promise<ExitCode> {
  const loaded = loadConfig(terminal.env, terminal.machine)
  if (loaded.kind === 'invalid') {
    explainProblems(terminal, loaded.problems)
    return exitCodes.usage
  }
  printSettings(terminal, loaded.sources)
  const identityCode = await checkIdentity(terminal, loaded.config)
  if (!options.connect) return identityCode
  const answered = await probeAll(terminal, loaded.config, probe)
  return answered ? identityCode : exitCodes.usage
}

function printSettings(terminal: Terminal, settings: readonly Setting[]): void {
  const nameWidth = Math.max(...settings.map(({ variable }) => variable.length))
  for (const { variable, value, origin } of settings) {
    const where = origin === 'default' ? '  (default)' : origin === 'environment' ? '' : `  (${origin})`
    terminal.out(`${variable.padEnd(nameWidth)}  ${value}${where}`)
  }
}

/** Reads the key as `run` would, but makes none: validating leaves no traces. */
async function checkIdentity(terminal: Terminal, config: Config): Promise<ExitCode> {
  const { identity: source } = config
  terminal.out('')
  if (source.kind === 'created' && !terminal.machine.exists(source.path)) {
    terminal.out(`Identity: none yet; run makes one in ${source.path}`)
    return exitCodes.clean
  }
  try {
    const { loadIdentity } = await import('#src/p2p/identity.ts')
    const identity = await loadIdentity(source)
    terminal.out(
      `Identity: ${identity.peerId.toString()} (${identity.privateKey.type}, from ${identity.origin})`,
    )
    for (const warning of identity.warnings) terminal.err(`Warning: ${warning}`)
    return exitCodes.clean
  } catch (error) {
    return explain(terminal, error)
  }
}

async function probeAll(terminal: Terminal, { backends, security }: Config, probe: Probe): Promise<boolean> {
  const results = await Promise.all(
    backends.map(async (backend) => {
      const probed = await probe(backend, { timeoutMs: probeTimeoutMs, security: security.back })
      const text = probed.ok
        ? `ok in ${Math.round(probed.ms)} ms: ${probed.peerId}${probed.agent === undefined ? '' : ` (${probed.agent})`}`
        : `FAILED: ${probed.reason}`
      return { ok: probed.ok, line: `Backend ${backend.name}  ${text}` }
    }),
  )
  for (const { line } of results) terminal.out(line)
  return results.every(({ ok }) => ok)
}
