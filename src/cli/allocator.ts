import process from 'node:process'

/**
 * The memory that blocks pass through is freed and needed again within milliseconds. Bun's allocator gives
 * freed pages back to the system after 10 ms, and getting them anew costs a page fault each: an eighth of
 * the CPU per byte relayed. The delay can only be set in the environment, before the process starts.
 */
const variable = 'MIMALLOC_PURGE_DELAY'
const delayMs = '1000'

/**
 * Starts this program anew in the same process (same PID, same open files) with the allocator's delay set,
 * unless somebody has set it, and does not return then. Does nothing where that cannot be done.
 */
export function tuneAllocator(): void {
  if (process.platform !== 'linux' || process.versions.bun === undefined) return
  const { execve } = process as { execve?: (file: string, args: string[], env: NodeJS.ProcessEnv) => void }
  if (process.env[variable] !== undefined || execve === undefined) return
  // An executable carries its program inside: the second argument is a path within it.
  const [, program = ''] = process.argv
  const from = program.startsWith('/$bunfs/') ? 2 : 1
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(from)]
  try {
    execve.call(process, process.execPath, args, { ...process.env, [variable]: delayMs })
  } catch {
    // Forbidden, by a sandbox say: it works without.
  }
}
