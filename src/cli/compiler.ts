import { readFile } from 'node:fs/promises'
import process from 'node:process'

/** What is to be said where nothing is compiled. */
export const wxText =
  'memory may not be written and executed (W^X): nothing is compiled, everything costs some fifteen to thirty times as much'
export const wxMend = 'systemctl edit kitsune # [Service] MemoryDenyWriteExecute=no'

/**
 * Says whether JavaScript is compiled as it runs; undefined where the system does not say. Where it is, the runtime has one
 * large mapping of memory that may be written and executed.
 */
export async function compilesCode(): Promise<boolean | undefined> {
  if (process.versions.bun === undefined) return undefined
  const maps = await readFile('/proc/self/maps', 'utf8').catch(() => '')
  return maps === '' ? undefined : /^\S+ rwx/m.test(maps)
}
