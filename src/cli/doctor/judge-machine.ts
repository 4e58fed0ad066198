/**
 * What is to be said about this machine, from what was seen of it. Pure.
 */

import { wxMend, wxText } from '#src/cli/compiler.ts'
import { about, type Finding, underSystemd } from '#src/cli/doctor/finding.ts'
import type { Config } from '#src/config/config.ts'
import type { DoorKind } from '#src/config/listen.ts'
import { type TempDirState, tempDirFault } from '#src/p2p/door/temp-dir.ts'

/** Native code, and the doors that cannot be opened without it; Noise has another way. */
const addons = {
  'sodium-native': undefined,
  '@chainsafe/libp2p-quic': 'quic-v1',
  'node-datachannel': 'webrtc-direct',
  rwebtransport: 'webtransport',
} as const satisfies Record<string, DoorKind | undefined>
export type Addon = keyof typeof addons
export const addonNames = Object.keys(addons) as Addon[]

/** What was seen. */
export interface MachineFacts {
  /** Why an addon does not load; those without a fault do. */
  readonly addonFaults: Readonly<Partial<Record<Addon, string>>>
  readonly tempDir: TempDirState
  /** Files that may be open at once; undefined where the system does not say. */
  readonly openFiles: number | undefined
  /** Code may be compiled as it runs; undefined where the system does not say. */
  readonly compiles: boolean | undefined
  readonly dataDir: {
    readonly path: string
    readonly fault?: 'not-writable'
    /** Its secrets that others may read. */
    readonly exposed: readonly string[]
  }
}

/** Says what is to be said of everything but the doors, each of which is a matter of its own. */
export function judgeMachine(facts: MachineFacts, config: Config): Finding[] {
  return [
    tempDir(facts),
    ...addonNames.flatMap((name) => addon(name, facts, config)),
    ...openFiles(facts, config),
    ...compiles(facts),
    ...dataDir(facts, config),
  ]
}

const ownTempDir = '/var/lib/kitsune/tmp'

function tempDir({ tempDir: { path, fault } }: MachineFacts): Finding {
  const { ok, fail } = about('temporary directory')
  if (fault === undefined) return ok(`${path} can be written and executed from`)
  const mend = `mkdir -m 700 ${ownTempDir} && export TMPDIR=${ownTempDir} # ${underSystemd(`Environment=TMPDIR=${ownTempDir}`)}`
  return fail(`${path} ${tempDirFault(fault)}: native code is unpacked there`, mend)
}

function addon(name: Addon, { addonFaults, tempDir }: MachineFacts, { listen }: Config): Finding[] {
  const { ok, warn, fail } = about(`addon ${name}`)
  const fault = addonFaults[name]
  const kind = addons[name]
  if (fault === undefined) return [ok('loads')]
  const mend =
    tempDir.fault === undefined
      ? 'take the executable that was built for this platform (glibc or musl)'
      : 'see the temporary directory, where it is unpacked'
  if (kind === undefined) return [warn(`does not load, encryption is slower: ${fault}`, mend)]
  const doors = listen.filter((door) => door.kind === kind)
  if (doors.length === 0) return [ok(`does not load, and no door needs it: ${fault}`)]
  const text = `does not load, so ${doors.map(({ address }) => address).join(' and ')} stays closed: ${fault}`
  if (doors.every(({ optional }) => optional)) return [warn(text, mend)]
  return [fail(text, `${mend}; KITSUNE_LISTEN_OPTIONAL=${kind} starts without it`)]
}

/** Clients, lanes, gateways and RPC calls, and what a process has open anyway. */
function openFiles({ openFiles: limit }: MachineFacts, config: Config): Finding[] {
  const { ok, fail } = about('open files')
  if (limit === undefined) return []
  const needed = config.maxConnections + config.backends.length * (config.lanes + 16) + 256
  if (limit >= needed) return [ok(`${limit} at once, ${needed} may be needed`)]
  const text = `${limit} at once, and KITSUNE_MAX_CONNECTIONS=${config.maxConnections} may need ${needed}`
  return [fail(text, `ulimit -n ${needed} # ${underSystemd(`LimitNOFILE=${needed}`)}`)]
}

function compiles({ compiles: allowed }: MachineFacts): Finding[] {
  const { ok, fail } = about('compiler')
  if (allowed === undefined) return []
  if (allowed) return [ok('code is compiled as it runs')]
  return [fail(wxText, wxMend)]
}

function dataDir({ dataDir: { path, fault, exposed } }: MachineFacts, { identity }: Config): Finding[] {
  const { ok, warn, fail } = about('data directory')
  if (fault !== undefined) {
    const what = identity.kind === 'created' ? 'the identity' : 'the seed of the lanes'
    const mend = `install -d -m 700 -o "$(id -un)" ${path} # ${underSystemd('StateDirectory=kitsune')}`
    return [fail(`${path} cannot be written, and ${what} is kept there`, mend)]
  }
  if (exposed.length === 0) return [ok(`${path} can be written, and its secrets are closed to others`)]
  return [warn(`others may read ${exposed.join(' and ')}`, `chmod 600 ${exposed.join(' ')}`)]
}
