/**
 * Makes the executables in dist/: `bun run build [--target NAME|all]…`, this machine's without a target.
 * Prints size and time of each and writes dist/SHA256SUMS over all that lie there.
 */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compile } from './build/compile.ts'
import { hostTarget, type Target, targetNamed, targets } from './build/targets.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

function wanted(names: readonly string[]): readonly Target[] {
  if (names.length === 0) return [hostTarget()]
  return names.includes('all') ? targets : names.map(targetNamed)
}

function git(...args: string[]): string {
  return execFileSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim()
}

function currentCommit(): string {
  try {
    const commit = git('rev-parse', '--short=12', 'HEAD')
    return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit}-changed`
  } catch {
    return 'unknown'
  }
}

async function writeSums(): Promise<void> {
  const names = (await readdir(dist)).filter((name) => name.startsWith('kitsune-')).sort()
  const lines: string[] = []
  for (const name of names) {
    const sum = createHash('sha256')
      .update(await readFile(join(dist, name)))
      .digest('hex')
    lines.push(`${sum}  ${name}\n`)
  }
  await writeFile(join(dist, 'SHA256SUMS'), lines.join(''))
}

const { values } = parseArgs({
  options: { target: { type: 'string', multiple: true, default: [] }, entry: { type: 'string' } },
})
const commit = currentCommit()
try {
  for (const target of wanted(values.target)) {
    const outfile = join(dist, `kitsune-${target.name}${target.suffix}`)
    const entry = values.entry ?? join(root, 'src', 'main.ts')
    const { bytes, ms, absent } = await compile(target, { entry, outfile, commit })
    const mib = (bytes / 2 ** 20).toFixed(1)
    console.log(`${target.name.padEnd(16)} ${mib.padStart(6)} MiB ${(ms / 1000).toFixed(1).padStart(5)} s`)
    if (absent.length > 0) console.log(`  without the native code of ${absent.join(', ')}`)
  }
  await writeSums()
} catch (error) {
  console.error(error instanceof AggregateError ? error.errors.map(String).join('\n') : String(error))
  process.exitCode = 1
}
