/** Directories for processes under test: each goes when its process does, or when that never came to be. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Stoppable {
  stop(): Promise<unknown>
}

/** Returns what `start` makes of an empty directory, which is removed after its `stop()`, or when starting fails. */
export async function withScratch<T extends Stoppable>(start: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'kitsune-bench-'))
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true })
  try {
    const started = await start(directory)
    return {
      ...started,
      async stop() {
        await started.stop()
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}
