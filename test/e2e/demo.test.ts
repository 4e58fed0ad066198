import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { ensureBinary } from '#test/support/binary.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { type ProcessLine, startProcess, type TestProcess } from '#test/support/process.ts'

const main = join(repositoryRoot, 'src', 'main.ts')
const deno = join(repositoryRoot, 'node_modules', '.bin', 'deno')
const endsWithinMs = 70_000
const testTimeoutMs = 90_000
const buildTimeoutMs = 120_000

const saying =
  (text: string) =>
  (line: ProcessLine): boolean =>
    String(line.text ?? '').includes(text)

let cwd = ''
let running: TestProcess | undefined
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'kitsune-demo-'))
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  await rm(cwd, { recursive: true, force: true })
})

async function start(command: readonly string[], untilText: string): Promise<TestProcess> {
  const [program = '', ...args] = command
  const readyLine = saying(untilText)
  running = await startProcess(program, args, { cwd, readyLine, readyTimeoutMs: endsWithinMs })
  return running
}

const textOf = ({ lines }: TestProcess) => lines.map((line) => String(line.text ?? '')).join('\n')

async function expectAllRight(command: readonly string[]): Promise<void> {
  const demo = await start([...command, 'demo', '--once'], 'Every byte was right')
  expect(await demo.ended).toBe(0)
  const text = textOf(demo)
  expect(text).toMatch(/film\.bin +8\.0 MiB +backend A +33 .* right/)
  expect(text).toMatch(/album\.bin +3\.0 MiB +backend B +13 .* right/)
  expect(text).toMatch(/hello\.txt +28 B +backend B +1 .* right/)
  expect(text).toContain('The backends gave no block for it')
  expect(text).toMatch(/A backend fetched its 9 blocks from the page, through the edge, in \d+ ms\./)
  expect(text).toMatch(/photo\.bin +2\.0 MiB +the edge itself +0 .* right/)
  expect(text).toContain('Every byte was right: 24.0 MiB in 7 fetches')
  expect(text).not.toContain('WRONG')
  expect(await readdir(cwd)).toEqual([])
}

test(
  'from source, everything is fetched by way of the edge, compared, and over',
  () => expectAllRight([process.execPath, main]),
  testTimeoutMs,
)

test('the same under Deno', () => expectAllRight([deno, 'run', '-A', main]), testTimeoutMs)

test(
  'the same with the executable alone',
  async () => expectAllRight([await ensureBinary()]),
  testTimeoutMs + buildTimeoutMs,
)

test(
  'it stays up with addresses that work, until Ctrl-C',
  async () => {
    const demo = await start([process.execPath, main, 'demo'], 'Ctrl-C ends it')
    const text = textOf(demo)
    const urls = [...text.matchAll(/curl (http:\S+)/g)].map(([, url]) => url ?? '')
    expect(urls.length).toBeGreaterThanOrEqual(3)
    for (const url of urls) expect((await fetch(url)).status).toBe(200)
    const identity = urls.find((url) => url.endsWith('/api/v0/id')) ?? ''
    const { ID } = (await (await fetch(identity)).json()) as { ID: string }
    for (const transport of ['tcp/\\d+', 'tcp/\\d+/ws']) {
      expect(text).toMatch(new RegExp(`/ip4/127\\.0\\.0\\.1/${transport}/p2p/${ID}`))
    }
    await demo.kill('SIGINT')
    expect(await demo.ended).toBe(0)
    expect(await readdir(cwd)).toEqual([])
  },
  testTimeoutMs,
)
