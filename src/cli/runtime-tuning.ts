import process from 'node:process'

/**
 * What the runtime can be told in the environment only, before the process starts.
 *
 * Its allocator: memory that blocks pass through is freed and needed again within milliseconds, and Bun gives freed pages
 * back to the system after 10 ms, and those between pages in use as soon as it sees them: getting them anew costs a page
 * fault each, 190 per MiB relayed, against 4 to 8 so. After a burst memory returns all the same (`edge-memory`).
 *
 * Its collector: a heap of 64 MiB counts as small, which is where it lets it double before it runs again: a tenth less CPU
 * per small block, for 10 to 30 MiB.
 *
 * Its compiler: the last tier, which takes most of the time of all of them, is for what has run ten times as often as by
 * default. What pays for it in an hour is found all the same, and the first minute costs a quarter less.
 */
export const tuning: Readonly<Record<string, string>> = {
  MIMALLOC_PURGE_DELAY: '5000',
  MIMALLOC_PURGE_HOLES: '0',
  BUN_JSC_largeHeapSize: `${64 * 1024 * 1024}`,
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: '1000000',
  BUN_JSC_thresholdForFTLOptimizeSoon: '10000',
}

/**
 * Starts this program anew in the same process (same PID, same open files) with the runtime tuned, and does not return
 * then. What somebody has set stays as it is. Does nothing where all is set, or where that cannot be done.
 */
export function tuneRuntime(): void {
  if (process.platform !== 'linux' || process.versions.bun === undefined) return
  const { execve } = process as { execve?: (file: string, args: string[], env: NodeJS.ProcessEnv) => void }
  const isSet = (name: string): boolean => process.env[name] !== undefined
  if (execve === undefined || Object.keys(tuning).every(isSet)) return
  // An executable carries its program inside: the second argument is a path within it, and options of Bun (which
  // come from BUN_OPTIONS then) would be taken for ours.
  const [, program = '', ...rest] = process.argv
  const args = program.startsWith('/$bunfs/') ? rest : [...process.execArgv, program, ...rest]
  try {
    execve.call(process, process.execPath, [process.execPath, ...args], { ...tuning, ...process.env })
  } catch {
    // Forbidden, by a sandbox say: it works without.
  }
}
