/**
 * Where native code is unpacked before it is loaded: may it be written, and executed from? Nothing is left there.
 */

import { randomBytes } from 'node:crypto'
import { access, constants, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What is wrong with a directory for native code; no fault: nothing. */
export interface TempDirState {
  readonly path: string
  readonly fault?: 'not-writable' | 'not-executable'
}

/** The kernel says of a file, not of a directory, whether it could be executed; no program is needed for that. */
export async function lookAtTempDir(path = tmpdir()): Promise<TempDirState> {
  const file = join(path, `kitsune-${randomBytes(6).toString('hex')}`)
  try {
    await writeFile(file, '', { mode: 0o700, flag: 'wx' })
  } catch {
    return { path, fault: 'not-writable' }
  }
  try {
    await access(file, constants.X_OK)
    return { path }
  } catch {
    return { path, fault: 'not-executable' }
  } finally {
    await unlink(file)
  }
}

/** Returns what is wrong in words, to stand after the path. */
export function tempDirFault(fault: NonNullable<TempDirState['fault']>): string {
  return fault === 'not-writable' ? 'cannot be written' : 'is mounted noexec'
}
