import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keySwarmNew, keySwarmShow } from '#src/cli/key-swarm.ts'
import { formatSwarmKey, parseSwarmKey } from '#src/config/swarm-key.ts'
import { fakeTerminal } from './fake-terminal.ts'

const directories: string[] = []
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function terminal() {
  const cwd = mkdtempSync(join(tmpdir(), 'kitsune-key-swarm-'))
  directories.push(cwd)
  return { cwd, ...fakeTerminal({}, { cwd }) }
}

test('one is made for the owner alone, never over another, and shown again', async () => {
  const made = terminal()
  const path = join(made.cwd, 'swarm.key')
  expect(await keySwarmNew(made, { out: 'swarm.key' })).toBe(0)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const text = readFileSync(path, 'utf8')
  const parsed = parseSwarmKey(text)
  expect(parsed.ok).toBe(true)
  expect(await keySwarmShow(made, 'swarm.key')).toBe(0)
  expect(made.output[2]).toBe(made.output[0] as string)
  // Nothing of the key is in what is shown.
  const secret = text.split('\n')[2] ?? '-'
  expect(made.output.join()).not.toContain(secret.slice(0, 12))
  expect(await keySwarmNew(made, { out: 'swarm.key' })).not.toBe(0)
  expect(made.errors.join()).toContain('never overwritten')
  expect(readFileSync(path, 'utf8')).toBe(text)
})

test('the fingerprint is that of Kubo', async () => {
  const shown = terminal()
  const key = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 3)
  writeFileSync(join(shown.cwd, 'swarm.key'), formatSwarmKey(key))
  await keySwarmShow(shown, 'swarm.key')
  // By golang.org/x/crypto/salsa20 and crypto/sha3, as in Kubo's core/node/libp2p/pnet.go.
  expect(shown.output[0]).toBe('fingerprint  b4d4a36c6393891a7eceecdf357b0098')
})

test.each([
  ['missing', undefined, 'cannot be read'],
  ['of something else', 'CAESQK', 'does not begin with /key/swarm/psk/1.0.0/'],
])('a file that is %s is told as such', async (_, content, reason) => {
  const shown = terminal()
  if (content !== undefined) writeFileSync(join(shown.cwd, 'swarm.key'), content)
  expect(await keySwarmShow(shown, 'swarm.key')).not.toBe(0)
  expect(shown.errors.join()).toContain(reason)
})
