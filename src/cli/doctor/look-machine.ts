/**
 * Looks at this machine: what loads, what may be written, what the system allows. Nothing is left behind.
 */

import { access, constants, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { compilesCode } from '#src/cli/compiler.ts'
import { type Addon, addonNames, type MachineFacts } from '#src/cli/doctor/judge-machine.ts'
import type { Config } from '#src/config/config.ts'
import { lookAtTempDir } from '#src/p2p/door/temp-dir.ts'
import { describeError } from '#src/util/errors.ts'

export async function lookAtMachine(config: Config): Promise<MachineFacts> {
  const [addonFaults, tempDir, openFiles, compiles, dataDir] = await Promise.all([
    lookAtAddons(),
    lookAtTempDir(),
    lookAtOpenFiles(),
    compilesCode(),
    lookAtDataDir(config),
  ])
  return { addonFaults, tempDir, openFiles, compiles, dataDir }
}

const loaders: Readonly<Record<Addon, () => Promise<unknown>>> = {
  'sodium-native': async () => {
    const { sodium } = await import('#src/p2p/noise/sodium.ts')
    if (sodium === undefined) throw new Error('the native cipher is not there')
  },
  '@chainsafe/libp2p-quic': async () => (await import('#src/p2p/quic/native.ts')).loadQuic(),
  'node-datachannel': async () => (await import('#src/p2p/webrtc/addon.ts')).loadAddon(),
  rwebtransport: async () => (await import('#src/p2p/webtransport/addon.ts')).loadAddon(),
}

async function lookAtAddons(): Promise<Partial<Record<Addon, string>>> {
  const faults: Partial<Record<Addon, string>> = {}
  for (const name of addonNames) {
    try {
      await loaders[name]()
    } catch (error) {
      faults[name] = (describeError(error).split('\n')[0] ?? '').replaceAll('/$bunfs/root/', '')
    }
  }
  return faults
}

/** The runtime raises its own limit as far as it may, so what holds now is what an edge would have. */
async function lookAtOpenFiles(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? []
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

async function lookAtDataDir({ dataDir, identity }: Config): Promise<MachineFacts['dataDir']> {
  const key = identity.kind === 'inline' ? [] : [identity.path]
  const secrets = [...new Set([...key, join(dataDir, 'lanes.seed')])]
  const exposed: string[] = []
  for (const path of secrets) {
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && process.platform !== 'win32' && (found.mode & 0o077) !== 0) exposed.push(path)
  }
  const writable = await canWrite(dataDir)
  return { path: dataDir, exposed, ...(!writable && { fault: 'not-writable' as const }) }
}

/** One that is not there yet is made at the first run, if the directory above may be written. */
async function canWrite(directory: string): Promise<boolean> {
  const found = await stat(directory).catch(() => undefined)
  if (found !== undefined) {
    const allowed = access(directory, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    )
    return found.isDirectory() && (await allowed)
  }
  const above = dirname(directory)
  return above !== directory && canWrite(above)
}
