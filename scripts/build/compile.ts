/**
 * Makes one executable: everything in it, nothing read from the directory it runs in.
 */

import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { embedAddons } from './addons.ts'
import type { Target } from './targets.ts'

export interface CompileOptions {
  readonly entry: string
  readonly outfile: string
  readonly commit: string
}

export interface Compiled {
  readonly outfile: string
  readonly bytes: number
  readonly ms: number
  /** Packages whose native code is not in it. */
  readonly absent: readonly string[]
}

/** Compiles `entry` for `target`; throws with the bundler's own messages. */
export async function compile(target: Target, options: CompileOptions): Promise<Compiled> {
  const { entry, outfile, commit } = options
  const begunAt = performance.now()
  await mkdir(dirname(outfile), { recursive: true })
  const { plugin, absent } = await embedAddons(target)
  await Bun.build({
    entrypoints: [entry],
    target: 'bun',
    format: 'esm',
    minify: true,
    // What is imported dynamically is loaded then, and not with the rest.
    splitting: true,
    bytecode: true,
    define: {
      KITSUNE_BUILD: JSON.stringify({ commit, target: target.name }),
      'process.env.NODE_ENV': JSON.stringify('production'),
    },
    plugins: [plugin],
    compile: {
      target: target.runtime,
      outfile,
      // An operator's working directory must not change what the executable does.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
    throw: true,
  })
  const { size } = await stat(outfile)
  return { outfile, bytes: size, ms: performance.now() - begunAt, absent }
}
