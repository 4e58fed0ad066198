/**
 * Small secret files: keys and seeds. A file is made once, whole, for the owner alone, and never written again;
 * two processes that start together end with the same one. Nothing is held in memory.
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KitsuneError } from '#src/util/errors.ts'

/** Secrets are short; a file beyond this is something else, given by mistake. */
const maxBytes = 1024 ** 2

/** What a secret file holds, and what should be said about it. */
export interface PrivateFile {
  readonly bytes: Uint8Array
  readonly warnings: readonly string[]
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Returns the file, or undefined when there is none. Anybody else being able to read it is a warning. */
export async function readPrivateFile(path: string): Promise<PrivateFile | undefined> {
  try {
    const { mode, size } = await stat(path)
    if (size > maxBytes) {
      throw new KitsuneError('SECRET_FILE_TOO_LARGE', 'The file is far too large for a key', {
        facts: { path, bytes: size, hint: 'Is it the right file? A key is a few kilobytes at most.' },
      })
    }
    const open = process.platform !== 'win32' && (mode & 0o077) !== 0
    const warnings = open
      ? [`${path} can be read by others (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${path}`]
      : []
    return { bytes: await readFile(path), warnings }
  } catch (error) {
    // ENOTDIR: a part of the path is a file, so there is none here; making one will say so.
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return undefined
    if (error instanceof KitsuneError) throw error
    throw new KitsuneError('SECRET_FILE_UNREADABLE', 'The file cannot be read', {
      facts: { path, hint: 'It must be a file that the user running kitsune may read.' },
      cause: error,
    })
  }
}

/**
 * Makes a file of mode 0600 and returns true; returns false, and touches nothing, when there is one already. The
 * file appears whole or not at all. Its directory is made (0700) where it is missing.
 */
export async function createPrivateFile(path: string, bytes: Uint8Array): Promise<boolean> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeNew(draft, bytes)
  } catch (error) {
    // On a full disk it is there, and it may be tried again every few seconds.
    await unlink(draft).catch(() => {})
    throw notWritable(path, error)
  }
  try {
    // A hard link, unlike a rename, never replaces what is there.
    await link(draft, path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    return await createInPlace(path, bytes)
  } finally {
    await unlink(draft)
  }
}

/** For file systems without hard links; a crash in this instant may leave a partial file. */
async function createInPlace(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await writeNew(path, bytes)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw notWritable(path, error)
  }
}

function notWritable(path: string, cause: unknown): KitsuneError {
  return new KitsuneError('DIRECTORY_NOT_WRITABLE', 'The directory cannot be written', {
    facts: {
      path: dirname(path),
      hint: 'Set KITSUNE_DATA_DIR (or --out) to a place that the user running kitsune may write.',
    },
    cause,
  })
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}
