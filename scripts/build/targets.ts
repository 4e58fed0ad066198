/**
 * The machines an executable is made for, and what each needs.
 */

import { existsSync } from 'node:fs'

export interface Target {
  readonly name: string
  /** Bun's name of its runtime for that machine; fetched from the npm registry when it is not this one. */
  readonly runtime: Bun.Build.CompileTarget
  /** What packages with an addon per platform end in. */
  readonly platform: string
  /** Operating system, processor and C library, as package managers call them. */
  readonly machine: readonly [os: string, cpu: string, libc: string]
  /** Folder of packages with all their addons in one; `undefined` where these have none. */
  readonly prebuilds: string | undefined
  /** What the executable's file name ends in. */
  readonly suffix: '' | '.exe'
}

export const targets: readonly Target[] = [
  linux('x64', 'glibc'),
  linux('arm64', 'glibc'),
  linux('x64', 'musl'),
  linux('arm64', 'musl'),
  {
    name: 'darwin-arm64',
    runtime: 'bun-darwin-arm64',
    platform: 'darwin-arm64',
    machine: ['darwin', 'arm64', 'glibc'],
    prebuilds: 'darwin-arm64',
    suffix: '',
  },
  {
    name: 'windows-x64',
    runtime: 'bun-windows-x64',
    platform: 'win32-x64-msvc',
    machine: ['win32', 'x64', 'glibc'],
    prebuilds: 'win32-x64',
    suffix: '.exe',
  },
]

function linux(cpu: 'x64' | 'arm64', libc: 'glibc' | 'musl'): Target {
  const name = libc === 'musl' ? (`linux-${cpu}-musl` as const) : (`linux-${cpu}` as const)
  return {
    name,
    runtime: `bun-${name}`,
    platform: `linux-${cpu}-${libc === 'musl' ? 'musl' : 'gnu'}`,
    machine: ['linux', cpu, libc],
    prebuilds: libc === 'musl' ? undefined : name,
    suffix: '',
  }
}

/** Returns this machine's target; throws where there is none. */
export function hostTarget(): Target {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const musl = platform === 'linux' && existsSync('/etc/alpine-release') ? '-musl' : ''
  return targetNamed(`${platform}-${process.arch}${musl}`)
}

/** Returns the target of that name; throws with the list of all if there is none. */
export function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name)
  if (found !== undefined) return found
  throw new Error(
    `No such target: ${name}. There are: ${targets.map((target) => target.name).join(', ')}, all`,
  )
}
