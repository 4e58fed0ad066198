/**
 * The executable for tests: built from the sources as they are, once for each state of them, whoever asks first.
 */

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { buildOnce, repositoryRoot } from '#test/support/build-once.ts'
import { compile } from '../../scripts/build/compile.ts'
import { hostTarget } from '../../scripts/build/targets.ts'

/** Beside what `bun run build` makes, so that its checksums do not cover what tests leave. */
const testBuilds = join(repositoryRoot, 'dist', 'test')

/** Builds kept of one name: another test process may still run an earlier one. */
const buildsKept = 3

/** Returns the path of this machine's executable, building it if the sources have changed since the last time. */
export async function ensureBinary(): Promise<string> {
  return ensureCompiled('kitsune', join(repositoryRoot, 'src', 'main.ts'))
}

/** The same for another entry; its file name begins with `name`. */
export async function ensureCompiled(name: string, entry: string): Promise<string> {
  const target = hostTarget()
  const outfile = join(testBuilds, `${name}-${await hashOfSources(entry)}${target.suffix}`)
  await mkdir(testBuilds, { recursive: true })
  await buildOnce(outfile, async () => {
    // Under another name until it is whole: a build that was cut short must not pass for one.
    const unfinished = join(testBuilds, `unfinished-${process.pid}${target.suffix}`)
    await compile(target, { entry, outfile: unfinished, commit: 'test' })
    await rename(unfinished, outfile)
    await removeOld(name)
  })
  return outfile
}

async function hashOfSources(entry: string): Promise<string> {
  const hash = createHash('sha256').update(process.version)
  const inRepository = ['src', 'scripts/build', 'package.json', 'bun.lock'].map((path) =>
    join(repositoryRoot, path),
  )
  for (const path of (await Promise.all([entry, ...inRepository].map(filesIn))).flat().sort()) {
    hash.update(path).update('\0')
    hash.update(await readFile(path)).update('\0')
  }
  return hash.digest('hex').slice(0, 16)
}

async function filesIn(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

async function removeOld(name: string): Promise<void> {
  const paths = (await readdir(testBuilds)).filter((file) => file.startsWith(`${name}-`))
  const builds = await Promise.all(
    paths.map(async (file) => ({
      path: join(testBuilds, file),
      at: (await stat(join(testBuilds, file))).mtimeMs,
    })),
  )
  const old = builds.sort((a, b) => b.at - a.at).slice(buildsKept)
  for (const { path } of old) await rm(path, { force: true })
}
