/**
 * Builds of test peers that several test processes may ask for at once: one makes it, the others wait.
 *
 * The lock is a directory in the cache, because making one is atomic everywhere and `npm ci` empties the
 * place of its result; it names its owner's pid, so that the lock of a process that died is taken over.
 */
import { createHash } from 'node:crypto'
import { access, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** The top of the repository. */
export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url))

/** Where built peers are kept; ignored by git. */
export const peerCache = join(repositoryRoot, '.cache', 'peers')

const waitMs = 5 * 60_000

/** A hash of the files of a directory whose names match. */
export async function hashOfFiles(directory: string, pattern: RegExp): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(directory)).filter((file) => pattern.test(file)).sort()) {
    hash
      .update(name)
      .update('\0')
      .update(await readFile(join(directory, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Makes `result` with `build` unless it is there; of many callers at once, in any process, one builds. */
export async function buildOnce(result: string, build: () => Promise<void>): Promise<void> {
  if (await exists(result)) return
  const lock = join(peerCache, `${basename(result)}.lock`)
  await mkdir(peerCache, { recursive: true })
  await takeLock(lock)
  try {
    if (!(await exists(result))) await build()
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}

async function takeLock(lock: string): Promise<void> {
  const deadline = Date.now() + waitMs
  while (Date.now() < deadline) {
    try {
      await mkdir(lock)
      await writeFile(join(lock, 'pid'), String(process.pid))
      return
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'EEXIST') throw err
    }
    const owner = Number(await readFile(join(lock, 'pid'), 'utf8').catch(() => ''))
    if (owner > 0 && !isAlive(owner)) await rm(lock, { recursive: true, force: true })
    else await delay(100)
  }
  throw new Error(`${lock} was held for ${waitMs} ms`)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
