/**
 * `bun run test [--require-peers] [--long]`: all tests, those with real peers included. Peers that a machine
 * lacks (Go, Node) are skipped and said so; `--require-peers` makes that a failure. `--long` adds the
 * simulation of a million wants.
 */
import { failuresIn } from './steps/failures.ts'
import { runStep } from './steps/run-step.ts'

const requirePeers = process.argv.includes('--require-peers')
const long = process.argv.includes('--long')
const unknown = process.argv.slice(2).filter((arg) => !['--require-peers', '--long'].includes(arg))
if (unknown.length > 0) {
  console.error(`Unknown option ${unknown.join(' ')}. Usage: bun run test [--require-peers] [--long]`)
  process.exit(1)
}

const env = {
  ...(requirePeers && { KITSUNE_TEST_REQUIRE_PEERS: '1' }),
  ...(long && { KITSUNE_TEST_LONG: '1' }),
}
const suites = ['unit', 'property', 'sim', 'contract', 'e2e'] as const

const total = { pass: 0, fail: 0, skip: 0 }
const failed: string[] = []
const failures: string[] = []
for (const suite of suites) {
  const result = await runStep(`${suite} tests`, process.execPath, ['test', `./test/${suite}/`], env)
  if (!result.ok) {
    failed.push(suite)
    failures.push(...failuresIn(result.output))
  }
  for (const kind of ['pass', 'fail', 'skip'] as const) {
    total[kind] += Number(result.output.match(new RegExp(`^\\s*(\\d+) ${kind}$`, 'm'))?.[1] ?? 0)
  }
}
if (failed.length > 0) console.log(`\nFailed: ${failed.join(', ')}`)
for (const failure of failures) console.log(`\n${failure}`)
if (total.skip > 0)
  console.log('\nSkipped tests say why above: a peer that they need is not on this machine.')
console.log(`\n${total.pass} passed, ${Math.max(total.fail, failed.length)} failed, ${total.skip} skipped`)
process.exitCode = failed.length === 0 ? 0 : 1
