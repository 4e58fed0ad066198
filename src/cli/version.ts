import process from 'node:process'
import manifest from '../../package.json' with { type: 'json' }

/** What this executable is. */
export interface BuildVersion {
  readonly version: string
  /** The commit it was built from; `source` where nothing was built. */
  readonly commit: string
  /** Such as `Bun 1.4.5`. */
  readonly runtime: string
  /** Such as `linux-x64`. */
  readonly target: string
}

/** Put in place of the name by the build: `--define KITSUNE_BUILD={"commit":"…","target":"…"}`. */
declare const KITSUNE_BUILD: { readonly commit: string; readonly target: string } | undefined

function runtime(): string {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>
  if (bun !== undefined) return `Bun ${bun}`
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`
}

/** Returns the version of this executable. */
export function buildVersion(): BuildVersion {
  const built = typeof KITSUNE_BUILD === 'undefined' ? undefined : KITSUNE_BUILD
  return {
    version: manifest.version,
    commit: built?.commit ?? 'source',
    runtime: runtime(),
    target: built?.target ?? `${process.platform}-${process.arch}`,
  }
}

/** Returns the version as one line. */
export function formatVersion({ version, commit, runtime, target }: BuildVersion): string {
  return `kitsune ${version} (commit ${commit}, ${runtime}, ${target})`
}
