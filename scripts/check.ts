/**
 * `bun run check [--static]`: everything that can be said about the code without a peer: format and lint
 * with the layer rules, types, unused code, the README's table, and (not with `--static`) unit, property and
 * simulation tests.
 */
import { runStep } from './steps/run-step.ts'

const bin = (name: string): string => `node_modules/.bin/${name}`

const statics = [
  [
    'Format and lint',
    bin('biome'),
    ['ci', '--colors=off', '--config-path=scripts/lint.json', '--error-on-warnings', '.'],
  ],
  ['Types', bin('tsc'), ['--noEmit', '-p', 'tsconfig.json']],
  ['Unused code', bin('knip'), ['--config', 'scripts/knip.json']],
  ['README table', process.execPath, ['scripts/readme-table.ts', '--check']],
] as const
const tests = [
  ['Unit tests', process.execPath, ['test', './test/unit/']],
  ['Property tests', process.execPath, ['test', './test/property/']],
  ['Simulation', process.execPath, ['test', './test/sim/']],
] as const

const failed: string[] = []
for (const [title, command, args] of process.argv.includes('--static') ? statics : [...statics, ...tests]) {
  if (!(await runStep(title, command, args)).ok) failed.push(title)
}
console.log(failed.length === 0 ? '\nAll checks passed.' : `\nFailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
