/**
 * `bun run bench [case…]`: what the edge costs beside the backend that it stands in front of. See `--help`, and
 * bench/NOTES.md for what was found and tried.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import process from 'node:process'
import { ensureBinary } from '#test/support/binary.ts'
import { goAvailable, goBinary } from '#test/support/go-peer.ts'
import type { BenchCase } from './bench/case.ts'
import { caseList, loadCases, selectCases } from './bench/cases.ts'
import { judge, verdictLines } from './bench/goals.ts'
import { Lab } from './bench/lab.ts'
import { type BenchOptions, parseOptions, usage } from './bench/options.ts'
import { profile, profileLines } from './bench/profile.ts'
import { writeReport } from './bench/report.ts'
import type { BenchResult, CaseResult, ProfileResult } from './bench/results.ts'
import { caseLines } from './bench/table.ts'

const exitCodes = { clean: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Builds what is to be measured; says what to do where that cannot be done. */
async function prepare(lab: Lab): Promise<void> {
  if (process.platform !== 'linux') throw new Error('The bench reads /proc: it runs on Linux only.')
  if (!goAvailable()) {
    throw new Error(
      'The backend and the load generator are Go programs: install Go 1.26 or newer, so that `go` is on PATH.',
    )
  }
  lab.progress('building the Go peer (a minute, the first time)')
  await goBinary()
  if (lab.options.binary !== undefined) return
  lab.progress('building the executable')
  await ensureBinary().catch((error: unknown) => {
    const why = error instanceof AggregateError ? error.errors.map(String).join('\n') : String(error)
    throw new Error(
      `The executable could not be built; mend that, or measure another by --binary FILE.\n${why}`,
    )
  })
}

async function runCase(lab: Lab, each: BenchCase): Promise<CaseResult> {
  const { name, title } = each
  try {
    return { name, title, ...(await each.run(lab)) }
  } catch (error) {
    lab.check()
    const faults = [(error as Error).message]
    return { name, title, unit: 'blocks', runs: [], figures: [], series: [], faults, notes: [] }
  } finally {
    await lab.clear()
  }
}

async function bench(lab: Lab, cases: readonly BenchCase[]): Promise<BenchResult> {
  const { quick, profiles: wantedProfiles } = lab.options
  const startedAt = new Date().toISOString()
  await prepare(lab)
  const results: CaseResult[] = []
  for (const each of cases) {
    const result = await runCase(lab, each)
    lab.progress('')
    results.push(result)
    console.log(`\n${caseLines(result).join('\n')}`)
  }
  const profiles: ProfileResult[] = []
  for (const name of wantedProfiles) {
    profiles.push(await profile(lab, name))
    lab.progress('')
    console.log(`\n${profileLines(profiles.at(-1)!).join('\n')}`)
  }
  const [cpu] = cpus()
  return { startedAt, machine: `${cpus().length} × ${cpu?.model}`, quick, cases: results, profiles }
}

async function main(options: BenchOptions, cases: readonly BenchCase[]): Promise<number> {
  const lab = new Lab(options)
  const interrupt = (): void => {
    // A second time: what has not ended by then is left to its closed stdin.
    if (lab.interrupted) process.exit(exitCodes.interrupted)
    console.error('\nEnding what was started …')
    void lab.stop()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    const result = await bench(lab, cases)
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 1)}\n`)
    if (options.report !== undefined) await writeReport(options.report, result)
    console.log(`\n${verdictLines(judge(result.cases)).join('\n')}`)
    const faults = result.cases.flatMap((each) => each.faults.map((fault) => `${each.name}: ${fault}`))
    for (const fault of faults) console.error(`✘ ${fault}`)
    return faults.length === 0 ? exitCodes.clean : exitCodes.failed
  } catch (error) {
    if (lab.interrupted) return exitCodes.interrupted
    console.error(`\n${(error as Error).message}`)
    return exitCodes.failed
  } finally {
    await lab.stop()
  }
}

/** Returns what is to be run: with profiles only those cases that are named. */
function choose({ wanted, profiles }: BenchOptions): readonly BenchCase[] | { readonly fault: string } {
  const unknown = profiles.find((name) => !loadCases.some((each) => each.name === name))
  if (unknown !== undefined) {
    const names = loadCases.map(({ name }) => name).join(' ')
    return { fault: `There is no profile of "${unknown}". There is one of each of: ${names}` }
  }
  return profiles.length > 0 && wanted.length === 0 ? [] : selectCases(wanted)
}

function refuse(fault: string): number {
  console.error(`${fault}\n\nSee: bun run bench --help`)
  return exitCodes.usage
}

async function begin(args: readonly string[]): Promise<number> {
  const options = parseOptions(args)
  if ('fault' in options) return refuse(options.fault)
  if (options.help || options.list) {
    console.log(options.help ? `${usage}\n${caseList()}` : caseList())
    return exitCodes.clean
  }
  const chosen = choose(options)
  return 'fault' in chosen ? refuse(chosen.fault) : main(options, chosen)
}

process.exitCode = await begin(process.argv.slice(2))
