/**
 * Scripts for pages: a module of the tests with all that it imports, as browsers get it from a bundler.
 *
 * libp2p's packages name what stands in for Node's modules in their `browser` fields, which Bun follows. It does so in
 * a process of its own: a build for another target earlier in the same one (that of the executable) leaves packages
 * resolved as for that target.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const maxScriptBytes = 32 * 1024 * 1024

/** Returns one ES module; throws with the bundler's own messages. `entry` is a path. */
export async function bundleForBrowser(entry: string): Promise<string> {
  const define = '--define=process.env.NODE_ENV="production"'
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['build', '--target=browser', '--format=esm', define, entry],
    { maxBuffer: maxScriptBytes },
  )
  return stdout
}
