import { afterEach, beforeAll, expect, test } from 'bun:test'
import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensureBinary, ensureCompiled } from '#test/support/binary.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { startProcess } from '#test/support/process.ts'
import { hostTarget } from '../../scripts/build/targets.ts'

const run = promisify(execFile)
const buildTimeoutMs = 120_000

let binary = ''
let cipherTeller = ''
beforeAll(async () => {
  binary = await ensureBinary()
  cipherTeller = await ensureCompiled('print-aead', join(repositoryRoot, 'test/support/print-aead.ts'))
}, buildTimeoutMs)

const directories: string[] = []
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true })
})

async function emptyDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kitsune-build-'))
  directories.push(directory)
  return directory
}

/** A copy alone in a directory: whatever it needs besides itself is missing. */
async function alone(executable: string): Promise<{ cwd: string; file: string }> {
  const cwd = await emptyDirectory()
  const file = join(cwd, 'kitsune')
  await copyFile(executable, file)
  return { cwd, file }
}

/** No PATH, no HOME: nothing to lean on. */
const bareEnv = { TMPDIR: tmpdir() }

test('tells version, commit, runtime and target, from an empty directory and leaving nothing there', async () => {
  const { cwd, file } = await alone(binary)
  const { version } = JSON.parse(await readFile(join(repositoryRoot, 'package.json'), 'utf8')) as {
    version: string
  }
  const { stdout } = await run(file, ['--version'], { cwd, env: bareEnv })
  for (const part of [version, 'test', `Bun ${Bun.version}`, hostTarget().name])
    expect(stdout).toContain(part)
  expect(await readdir(cwd)).toEqual(['kitsune'])
})

test('takes nothing from files that happen to lie in the working directory', async () => {
  const { cwd, file } = await alone(binary)
  await writeFile(join(cwd, '.env'), 'KITSUNE_LOG_LEVEL=nonsense\n')
  await writeFile(join(cwd, 'bunfig.toml'), 'preload = ["./absent.ts"]\n')
  const env = { ...bareEnv, KITSUNE_BACKENDS: 'http://127.0.0.1:5001', KITSUNE_DATA_DIR: cwd }
  const { stdout } = await run(file, ['validate'], { cwd, env })
  expect(stdout).not.toContain('nonsense')
})

test('has libsodium in it', async () => {
  const { cwd, file } = await alone(cipherTeller)
  const { stdout } = await run(file, [], { cwd, env: bareEnv })
  expect(stdout.trim()).toBe('sodium')
})

test('does without libsodium where the temporary directory cannot be written', async () => {
  const { cwd, file } = await alone(cipherTeller)
  const { stdout } = await run(file, [], {
    cwd,
    env: { TMPDIR: '/dev/null/none', BUN_TMPDIR: '/dev/null/none' },
  })
  expect(stdout.trim()).toBe('wasm')
})

test.each(['quic-v1', 'webrtc-direct', 'quic-v1/webtransport'])(
  'has the native code of %s in it',
  async (door) => {
    const { cwd, file } = await alone(binary)
    const env = {
      ...bareEnv,
      KITSUNE_BACKENDS: 'http://127.0.0.1:9',
      KITSUNE_DATA_DIR: cwd,
      KITSUNE_ADMIN_LISTEN: '127.0.0.1:0',
      KITSUNE_LISTEN: `/ip4/127.0.0.1/udp/0/${door}`,
      KITSUNE_LOG_FORMAT: 'json',
    }
    const edge = await startProcess(file, ['run'], {
      cwd,
      env,
      readyLine: ({ msg }) => msg === 'Kitsune listens',
    })
    await edge.stop()
    expect(JSON.stringify(edge.ready)).toContain(`/${door}`)
  },
)

test('an unknown target is refused with the list of those there are', async () => {
  const script = join(repositoryRoot, 'scripts', 'build.ts')
  const failed = await run(process.execPath, [script, '--target', 'amiga-m68k']).catch(
    (error: unknown) => error,
  )
  const { code, stderr } = failed as { code: number; stderr: string }
  expect(code).toBe(1)
  for (const name of ['linux-x64', 'linux-arm64', 'linux-x64-musl', 'darwin-arm64', 'windows-x64', 'all']) {
    expect(stderr).toContain(name)
  }
})
