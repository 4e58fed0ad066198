import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { explain } from '#src/cli/failure.ts'
import { type ExitCode, exitCodes, type Terminal } from '#src/cli/terminal.ts'
import { formatSwarmKey, parseSwarmKey } from '#src/config/swarm-key.ts'
import { describeError, KitsuneError } from '#src/util/errors.ts'

/** Makes the key of a private network and shows its fingerprint, by which the operators of its nodes compare. */
export async function keySwarmNew(terminal: Terminal, options: { out: string }): Promise<ExitCode> {
  try {
    const { createPrivateFile } = await import('#src/p2p/private-file.ts')
    const path = resolve(terminal.machine.cwd, options.out)
    const key = randomBytes(32)
    if (!(await createPrivateFile(path, Buffer.from(formatSwarmKey(key))))) {
      throw new KitsuneError('KEY_FILE_EXISTS', 'There is a file already, and keys are never overwritten', {
        facts: { path, hint: 'Choose another file with --out, or move this one away first.' },
      })
    }
    await show(terminal, key, path)
    return exitCodes.clean
  } catch (error) {
    return explain(terminal, error)
  }
}

/** Shows the fingerprint of a swarm.key. */
export async function keySwarmShow(terminal: Terminal, file: string): Promise<ExitCode> {
  try {
    const path = resolve(terminal.machine.cwd, file)
    await show(terminal, read(terminal, path), path)
    return exitCodes.clean
  } catch (error) {
    return explain(terminal, error)
  }
}

function read(terminal: Terminal, path: string): Uint8Array {
  let text: string
  try {
    text = terminal.machine.readFile(path, 'latin1')
  } catch (cause) {
    const facts = { path, reason: describeError(cause) }
    throw new KitsuneError('KEY_FILE_UNREADABLE', 'The file cannot be read', { facts, cause })
  }
  const parsed = parseSwarmKey(text)
  if (parsed.ok) return parsed.value
  throw new KitsuneError('SWARM_KEY_UNREADABLE', 'The swarm key cannot be read', {
    facts: { path, reason: `the file ${parsed.reason}` },
  })
}

async function show(terminal: Terminal, key: Uint8Array, path: string): Promise<void> {
  const { swarmKeyFingerprint } = await import('#src/p2p/swarm-key/fingerprint.ts')
  terminal.out(`fingerprint  ${swarmKeyFingerprint(key)}`)
  terminal.out(`from         ${path}`)
}
