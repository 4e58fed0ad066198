import { about, type Finding } from '#src/cli/doctor/finding.ts'
import { judgeBackend } from '#src/cli/doctor/judge-backend.ts'
import { judgeCertificate } from '#src/cli/doctor/judge-certificates.ts'
import { judgeDoor } from '#src/cli/doctor/judge-doors.ts'
import { judgeMachine } from '#src/cli/doctor/judge-machine.ts'
import type { RunningEdge } from '#src/cli/doctor/running-edge.ts'
import { explainProblems } from '#src/cli/failure.ts'
import { type ExitCode, exitCodes, type Terminal, wrap } from '#src/cli/terminal.ts'
import { formatAdminListen } from '#src/config/addresses.ts'
import type { Config } from '#src/config/config.ts'
import { loadConfig } from '#src/config/load.ts'

/**
 * Looks at the machine, the doors and every backend, and prints each finding with what mends it. Returns 0 if nothing fails.
 * Changes nothing, here or on a backend; each question has its time, so it ends within some ten seconds.
 */
export async function doctor(terminal: Terminal, { json }: { readonly json: boolean }): Promise<ExitCode> {
  const loaded = loadConfig(terminal.env, terminal.machine)
  if (loaded.kind === 'invalid') {
    explainProblems(terminal, loaded.problems)
    return exitCodes.usage
  }
  const findings = await examine(loaded.config, terminal)
  const failed = findings.some(({ level }) => level === 'fail')
  if (json) terminal.out(JSON.stringify({ ok: !failed, findings }, undefined, 2))
  else print(terminal, findings)
  return failed ? exitCodes.usage : exitCodes.clean
}

async function examine(config: Config, terminal: Terminal): Promise<Finding[]> {
  // Loaded here: what these need (native code, libp2p) is nothing that a wrong environment should wait for.
  const [{ lookAtMachine }, doors, { lookAtBackend }, { findRunningEdge }] = await Promise.all([
    import('#src/cli/doctor/look-machine.ts'),
    import('#src/cli/doctor/look-doors.ts'),
    import('#src/cli/doctor/look-backend.ts'),
    import('#src/cli/doctor/running-edge.ts'),
  ])
  const found = await findRunningEdge(config.adminListen)
  const running = typeof found === 'string' ? undefined : found
  const machine = judgeMachine(await lookAtMachine(config), config)
  const tls = config.listen.some(({ kind }) => kind === 'wss') ? config.tls : []
  const certificates = await Promise.all(tls.map(doors.lookAtCertificate))
  const seenDoors = await Promise.all(
    doors.doorsOfConfig(config).map((door) => doors.lookAtDoor(door, running?.doors)),
  )
  const lanes = await laneIds(config, terminal)
  const backends = await Promise.all(
    config.backends.map(async (backend) => {
      const facts = await lookAtBackend(backend, config.security.back, running?.lanesUp.get(backend.name))
      return judgeBackend(backend, facts, { config, lanes })
    }),
  )
  return [
    edgeItself(found, config),
    ...machine,
    ...seenDoors.map((door) => judgeDoor(door, process.execPath)),
    ...certificates.map(judgeCertificate),
    ...backends.flat(),
  ]
}

function edgeItself(found: RunningEdge | string, { adminListen }: Config): Finding {
  const { ok } = about('edge')
  if (typeof found !== 'string') return ok(`${found.peerId} runs here`)
  return ok(`none runs here${adminListen ? ` (${formatAdminListen(adminListen)}: ${found})` : ` (${found})`}`)
}

/** As `key lanes` shows them; where there is no seed yet none is made, and only how many there will be is known. */
async function laneIds({ dataDir, lanes }: Config, { machine }: Terminal): Promise<string[]> {
  const unknown = Array.from({ length: lanes }, (_, lane) => `LANE-${lane}-OF-kitsune-key-lanes`)
  if (!machine.exists(`${dataDir}/lanes.seed`)) return unknown
  const { laneKey, loadLaneSeed } = await import('#src/p2p/identity.ts')
  const { peerIdFromPrivateKey } = await import('@libp2p/peer-id')
  try {
    const seed = await loadLaneSeed(dataDir)
    return await Promise.all(
      unknown.map(async (_, lane) => peerIdFromPrivateKey(await laneKey(seed, lane)).toString()),
    )
  } catch {
    return unknown
  }
}

const marks = { ok: 'ok   ', warn: 'warn ', fail: 'FAIL ' } as const

function print(terminal: Terminal, findings: readonly Finding[]): void {
  for (const { level, about: what, text, mend } of findings) {
    terminal.out(`${marks[level]} ${wrap(`${what}: ${text}`, terminal.columns, 6).trimStart()}`)
    // Whole, so that it can be copied.
    if (mend !== undefined) terminal.out(`      mend: ${mend}`)
  }
  const count = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length
  terminal.out(`\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`)
}
