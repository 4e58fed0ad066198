import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '#src/cli/program.ts'
import { type Probe, validate } from '#src/cli/validate.ts'
import type { Environment } from '#src/config/environment.ts'
import { schema } from '#src/config/schema.ts'
import { createKey } from '#src/p2p/identity.ts'
import { keyToBase64 } from '#src/p2p/key-format.ts'
import { fakeTerminal } from '#test/unit/cli/fake-terminal.ts'

const room = await mkdtemp(join(tmpdir(), 'kitsune-cli-'))
afterAll(() => rm(room, { recursive: true }))
const rpc = { KITSUNE_BACKENDS: 'http://u:hunter2@10.0.0.11:5001' }

async function call(
  args: string[],
  env: Environment = {},
  options: { cwd?: string; stdin?: Uint8Array } = {},
) {
  const terminal = fakeTerminal(env, { cwd: options.cwd ?? (await mkdtemp(join(room, 'case-'))), ...options })
  const code = await runProgram(args, terminal)
  return { code, out: terminal.output.join('\n'), err: terminal.errors.join('\n'), cwd: terminal.machine.cwd }
}

describe('help and version', () => {
  test('--version says version, commit, runtime and target', async () => {
    const { code, out } = await call(['--version'])
    expect(code).toBe(0)
    expect(out).toMatch(/^kitsune \d+\.\d+\.\d+ \(commit \w+, (Bun|Deno|Node) [\d.]+, \w+-\w+\)$/)
  })

  test.each(['--help', 'run --help', 'validate --help', 'help run'])(
    '%s names every variable',
    async (line) => {
      const { code, out } = await call(line.split(' '))
      expect(code).toBe(0)
      for (const { name } of Object.values(schema)) expect(out).toContain(`    ${name}\n`)
      expect(out).toContain('Exit codes:')
      const spaced = out.split('\n').filter((line) => line.trim().includes(' ') && line.length > 100)
      expect(spaced).toEqual([])
    },
  )

  test.each(['demo', 'key', 'addrs', 'doctor'])('%s --help works', async (command) => {
    const { code, out } = await call([command, '--help'])
    expect(code).toBe(0)
    expect(out).toContain(`Usage: kitsune ${command}`)
  })
})

describe('a wrong command line', () => {
  test.each([
    [['vaildate'], 'Is it "validate"?'],
    [['frobnicate'], 'no command "frobnicate"'],
    [['run', '--frob'], "unknown option '--frob'"],
    [['key', 'new', '--type', 'dsa'], 'Allowed choices are ed25519, rsa, secp256k1'],
    [['key', 'import'], 'missing required argument'],
    [['key', 'new', 'a'], 'too many arguments'],
  ])('%j', async (args, text) => {
    const { code, err } = await call(args)
    expect(code).toBe(1)
    expect(err).toContain(text)
  })
})

describe('validate', () => {
  test('prints what holds, without secrets, and leaves no trace', async () => {
    const { code, out, cwd } = await call(['validate'], { ...rpc, KITSUNE_CACHE: '1GiB' })
    expect(code).toBe(0)
    expect(out).toMatch(/KITSUNE_BACKENDS +http:\/\/\*\*\*@10\.0\.0\.11:5001\n/)
    expect(out).toMatch(/KITSUNE_CACHE +1GiB\n/)
    expect(out).toMatch(/KITSUNE_LANES +4 {2}\(default\)/)
    expect(out).toContain('none yet; run makes one')
    expect(out).not.toContain('hunter2')
    await expect(stat(join(cwd, 'kitsune-data'))).rejects.toThrow()
  })

  test('lists all problems', async () => {
    const { code, err } = await call(['validate'], { KITSUNE_LANES: 'x', KITSUNE_FOO: '1' })
    expect(code).toBe(1)
    expect(err).toContain('3 problems')
  })

  test('reads the key', async () => {
    const key = await createKey('ed25519')
    const good = await call(['validate'], { ...rpc, KITSUNE_KEY: keyToBase64(key) })
    expect(good.code).toBe(0)
    expect(good.out).toContain(`Identity: ${key.publicKey.toString()} (Ed25519, from KITSUNE_KEY)`)
    expect(good.out).not.toContain(keyToBase64(key))
    const bad = await call(['validate'], { ...rpc, KITSUNE_KEY: 'hunter2' })
    expect(bad.code).toBe(1)
    expect(bad.err).toContain('KITSUNE_KEY')
    expect(bad.err).not.toContain('hunter2')
  })

  test('--connect reports each backend, and one that fails is a fault', async () => {
    const env = { KITSUNE_BACKENDS: 'http://good:5001,http://bad:5001' }
    const probe: Probe = async ({ name }) =>
      name.includes('good')
        ? { ok: true, peerId: '12D3KooW', agent: 'kubo/0.40', ms: 1.4 }
        : { ok: false, reason: 'no answer' }
    const terminal = fakeTerminal(env, { cwd: room })
    expect(await validate(terminal, { connect: true }, probe)).toBe(1)
    expect(terminal.output.slice(-2)).toEqual([
      'Backend http://good:5001  ok in 1 ms: 12D3KooW (kubo/0.40)',
      'Backend http://bad:5001  FAILED: no answer',
    ])
    const good = fakeTerminal({ KITSUNE_BACKENDS: 'http://good:5001' }, { cwd: room })
    expect(await validate(good, { connect: true }, probe)).toBe(0)
  })
})

describe('key', () => {
  test.each([
    [[], 'Ed25519', /^12D3KooW/],
    [['--type', 'rsa'], 'RSA', /^Qm/],
    [['--type', 'secp256k1'], 'secp256k1', /^16Uiu2/],
  ])('new %j makes one in the data directory, once', async (args, type, peerId) => {
    const { code, out, cwd } = await call(['key', 'new', ...args])
    expect(code).toBe(0)
    const rows = Object.fromEntries(out.split('\n').map((line) => line.split(/ {2,}/)))
    expect(rows).toMatchObject({ type, from: join(cwd, 'kitsune-data/identity.key') })
    expect(rows['peer ID']).toMatch(peerId)
    expect(rows['as a CID']).toMatch(/^k/)
    expect((await stat(rows.from)).mode & 0o777).toBe(0o600)
    const shown = await call(['key', 'show'], {}, { cwd })
    expect(shown.out).toBe(out)
    const again = await call(['key', 'new'], {}, { cwd })
    expect(again.code).toBe(1)
    expect(again.err).toContain('never overwritten')
  })

  test('lanes shows who dials backends, the same each time, and what tells a Kubo', async () => {
    const { code, out, cwd } = await call(['key', 'lanes', '--count', '2'])
    expect(code).toBe(0)
    const [first = '', second = ''] = [...out.matchAll(/^lane \d+ +(12D3KooW\w+)$/gm)].map(
      ([, id = '']) => id,
    )
    expect(new Set([first, second, '']).size).toBe(3)
    expect(out).toContain(`ipfs config --json Peering.Peers '[{"ID":"${first}"},{"ID":"${second}"}]'`)
    expect((await call(['key', 'lanes', '--count', '2'], {}, { cwd })).out).toBe(out)
    expect((await call(['key', 'lanes', '--count', '17'], {}, { cwd })).err).toContain('from 1 to 16')
  })

  test('import takes a file or standard input and keeps it', async () => {
    const key = await createKey('rsa')
    const stdin = new TextEncoder().encode(JSON.stringify({ Identity: { PrivKey: keyToBase64(key) } }))
    const first = await call(['key', 'import', '-', '--out', 'own.key'], {}, { stdin })
    expect(first.code).toBe(0)
    expect(first.out).toContain(key.publicKey.toString())
    expect((await readFile(join(first.cwd, 'own.key'), 'utf8')).trim()).toBe(keyToBase64(key))
    const second = await call(['key', 'import', 'own.key'], {}, { cwd: first.cwd })
    expect(second.code).toBe(0)
    expect(second.out).toContain(join(first.cwd, 'kitsune-data/identity.key'))
    const shown = await call(['key', 'show', 'own.key'], {}, { cwd: first.cwd })
    expect(shown.out).toContain(key.publicKey.toString())
  })

  test('says what is wrong', async () => {
    const none = await call(['key', 'show'])
    expect(none).toMatchObject({ code: 1, out: '' })
    expect(none.err).toContain('There is no key file')
    await expect(stat(join(none.cwd, 'kitsune-data'))).rejects.toThrow()
    expect((await call(['key', 'import', 'nowhere'])).err).toContain('cannot be read')
    expect((await call(['key', 'import', '-'])).err).toContain('it is empty')
    const both = await call(['key', 'show'], { KITSUNE_KEY: 'a', KITSUNE_KEY_FILE: '/dev/null' })
    expect(both.code).toBe(1)
    expect(both.err).toContain('contradicts')
    await writeFile(join(none.cwd, 'file'), '')
    const blocked = await call(['key', 'new', '--out', 'file/x'], {}, { cwd: none.cwd })
    expect(blocked.code).toBe(2)
  })
})
