import { expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { schema } from '#src/config/schema.ts'
import { withVariables } from '../../../scripts/readme-table.ts'

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

function kitsune(args: string[], env: Record<string, string> = {}, input = '') {
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('KITSUNE_'))
  const options = {
    cwd: tmpdir(),
    env: { ...Object.fromEntries(clean), ...env },
    encoding: 'utf8',
    input,
  } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], options)
  return { status, stdout, stderr }
}

test('the process writes everything and ends with the exit code of the command', () => {
  const help = kitsune(['--help'])
  expect(help.status).toBe(0)
  expect(help.stdout).toEndWith('internal error\n')
  const wrong = kitsune([], { KITSUNE_LANES: 'x' })
  expect(wrong.status).toBe(1)
  expect(wrong.stdout).toBe('')
  expect(wrong.stderr).toContain('2 problems')
})

test('nothing but the tuning is loaded before the process starts itself anew', async () => {
  const found = new Bun.Transpiler({ loader: 'ts' }).scan(await Bun.file(main).text()).imports
  const loadedFirst = found.filter(({ kind }) => kind === 'import-statement').map(({ path }) => path)
  expect(loadedFirst).toEqual(['node:process', '#src/cli/runtime-tuning.ts'])
  const tuning = await Bun.file(new URL('../../../src/cli/runtime-tuning.ts', import.meta.url)).text()
  expect(new Bun.Transpiler({ loader: 'ts' }).scanImports(tuning).map(({ path }) => path)).toEqual([
    'node:process',
  ])
})

test('the process reads standard input', () => {
  const { status, stderr } = kitsune(['key', 'import', '-'], {}, 'hello')
  expect(status).toBe(1)
  expect(stderr).toContain('it is no libp2p private key')
})

test('the table of the README names every variable and is written between its markers only', () => {
  const readme = 'before\n<!-- variables -->\nstale text\n<!-- /variables -->\nafter\n'
  const written = withVariables(readme)
  expect(written.startsWith('before\n<!-- variables -->\n')).toBe(true)
  expect(written.endsWith('\n<!-- /variables -->\nafter\n')).toBe(true)
  expect(written).not.toContain('stale text')
  for (const { name } of Object.values(schema)) expect(written).toContain(`| \`${name}\` |`)
  expect(withVariables(written)).toBe(written)
  expect(() => withVariables('no markers')).toThrow('markers')
})
