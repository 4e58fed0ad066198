/**
 * Native addons that come as a package per platform. This machine's are installed; those of another target are fetched
 * into a cache of their own, in the version that the installed package asks for and with the hash of the lockfile
 * where that has one.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Target } from './targets.ts'

const root = join(import.meta.dirname, '..', '..')

/** A package whose addons are `${prefix}${platform}`, as its `optionalDependencies` say. */
export interface AddonFamily {
  /** The package itself, and who depends on it if we do not. */
  readonly name: string
  readonly by?: string
  readonly prefix: string
}

/**
 * Returns the path of each family's addon for the target, in their order; `undefined` where there is none to be had.
 */
export async function platformAddons(
  target: Target,
  families: readonly AddonFamily[],
): Promise<(string | undefined)[]> {
  const wanted = await Promise.all(families.map((family) => wantedBy(family, target)))
  const installed = wanted.map((each) => each && addonIn(join(root, 'node_modules', each.name)))
  const absent = wanted.filter((each, index) => each !== undefined && installed[index] === undefined)
  if (absent.length === 0) return installed
  const cache = join(root, '.cache', 'addons', target.name)
  await fetchInto(
    cache,
    target,
    absent.filter((each) => each !== undefined),
  )
  return wanted.map(
    (each, index) => installed[index] ?? (each && addonIn(join(cache, 'node_modules', each.name))),
  )
}

interface Wanted {
  readonly name: string
  readonly version: string
}

/** Reads which version of its addon a package wants; `undefined` where there is none for the target. */
async function wantedBy(family: AddonFamily, target: Target): Promise<Wanted | undefined> {
  const owner = packageDirectory(family.by ?? family.name)
  const directory = family.by === undefined ? owner : packageDirectory(family.name, owner)
  const { optionalDependencies = {} } = JSON.parse(
    await readFile(join(directory, 'package.json'), 'utf8'),
  ) as { optionalDependencies?: Record<string, string> }
  const name = `${family.prefix}${target.platform}`
  const version = optionalDependencies[name]
  return version === undefined ? undefined : { name, version }
}

/** Returns where a package is installed, as a module in `from` finds it. */
export function packageDirectory(name: string, from = root): string {
  const resolved = Bun.resolveSync(name, from)
  const end = resolved.lastIndexOf(join('node_modules', name)) + join('node_modules', name).length
  return resolved.slice(0, end)
}

function addonIn(directory: string): string | undefined {
  const name = existsSync(directory) && readdirSync(directory).find((file) => file.endsWith('.node'))
  return name ? join(directory, name) : undefined
}

/** Fetches what the registry has of them, once; it may lack some, which is no error. */
async function fetchInto(cache: string, target: Target, wanted: readonly Wanted[]): Promise<void> {
  const manifest = JSON.stringify({
    private: true,
    optionalDependencies: Object.fromEntries(wanted.map(({ name, version }) => [name, version])),
  })
  const known = await readFile(join(cache, 'package.json'), 'utf8').catch(() => undefined)
  if (known === manifest) return
  await rm(cache, { recursive: true, force: true })
  await mkdir(cache, { recursive: true })
  await writeFile(join(cache, 'package.json'), manifest)
  const [os, cpu, libc] = target.machine
  const machine = [`--os=${os}`, `--cpu=${cpu}`, `--libc=${libc}`]
  try {
    execFileSync(process.execPath, ['install', '--ignore-scripts', ...machine], {
      cwd: cache,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ours = await hashes(join(root, 'bun.lock'))
    for (const [name, hash] of await hashes(join(cache, 'bun.lock'))) {
      if (hash !== (ours.get(name) ?? hash)) throw new Error(`${name} is not what bun.lock says`)
    }
  } catch (error) {
    // What is there is whole.
    await rm(cache, { recursive: true, force: true })
    throw error
  }
}

/** The hashes in a lockfile, by name and version. */
async function hashes(lockfile: string): Promise<Map<string, string>> {
  const text = await readFile(lockfile, 'utf8').catch(() => '')
  const entries = text.matchAll(/^\s*"[^"]+": \["([^"]+)".*"(sha512-[^"]+)"\],?$/gm)
  return new Map([...entries].map(([, name = '', hash = '']) => [name, hash]))
}
