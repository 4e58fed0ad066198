/**
 * The machines an executable is made for, and what each needs.
 */

import { existsSync } from 'node:fs'

export interface Target {
  readonly name: string
  /** Bun's name of its runtime for that machine; fetched from the npm registry when it is not this one. */
  readonly runtime: Bun.Build.CompileTarget
  /** Folder under sodium-native's prebuilds; `undefined` where it has none: wasm serves there. */
  readonly sodium: string | undefined
  /** What the executable's file name ends in. */
  readonly suffix: '' | '.exe'
}

export const targets: readonly Target[] = [
  { name: 'linux-x64', runtime: 'bun-linux-x64', sodium: 'linux-x64', suffix: '' },
  { name: 'linux-arm64', runtime: 'bun-linux-arm64', sodium: 'linux-arm64', suffix: '' },
  { name: 'linux-x64-musl', runtime: 'bun-linux-x64-musl', sodium: undefined, suffix: '' },
  { name: 'linux-arm64-musl', runtime: 'bun-linux-arm64-musl', sodium: undefined, suffix: '' },
  { name: 'darwin-arm64', runtime: 'bun-darwin-arm64', sodium: 'darwin-arm64', suffix: '' },
  { name: 'windows-x64', runtime: 'bun-windows-x64', sodium: 'win32-x64', suffix: '.exe' },
]

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
