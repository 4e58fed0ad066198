/** All cases, and how they are named on the command line. */
import { nearest } from '#src/util/nearest.ts'
import type { BenchCase } from './case.ts'
import { blockLoads } from './cases/blocks.ts'
import { connectionCases } from './cases/connections.ts'
import { doorCases } from './cases/doors.ts'
import { enduranceCases } from './cases/endurance.ts'
import { latencyCases } from './cases/latency.ts'
import { preloadCase } from './cases/preload.ts'
import { startCase } from './cases/start.ts'
import { hotLoad, missLoad, uncoveredCase } from './cases/wants.ts'
import { type LoadCase, loadCase } from './load-case.ts'

/** The cases that are one load: those that can be profiled. */
export const loadCases: readonly LoadCase[] = [...blockLoads, hotLoad, missLoad]

export const cases: readonly BenchCase[] = [
  ...loadCases.map(loadCase),
  uncoveredCase,
  ...latencyCases,
  ...connectionCases,
  ...doorCases,
  ...enduranceCases,
  preloadCase,
  startCase,
]

/** Returns the cases that names, groups and patterns with `*` stand for, in their own order; all for none. */
export function selectCases(
  wanted: readonly string[],
  from: readonly BenchCase[] = cases,
): readonly BenchCase[] | { readonly fault: string } {
  if (wanted.length === 0) return from
  const selected = new Set<BenchCase>()
  for (const word of wanted) {
    const pattern = new RegExp(`^${word.replace(/[^A-Za-z0-9*-]/g, '.').replaceAll('*', '.*')}$`)
    const matching = from.filter(
      ({ name, groups }) => word === 'all' || pattern.test(name) || groups.includes(word),
    )
    if (matching.length === 0) return { fault: unknown(word, from) }
    for (const each of matching) selected.add(each)
  }
  return from.filter((each) => selected.has(each))
}

function unknown(word: string, from: readonly BenchCase[]): string {
  const guess = nearest(word, [...from.map(({ name }) => name), ...groupsOf(from)])
  return `There is no case or group "${word}".${guess === undefined ? '' : ` Is it "${guess}"?`} See --list.`
}

function groupsOf(from: readonly BenchCase[]): string[] {
  return [...new Set(from.flatMap(({ groups }) => groups))]
}

/** Returns what `--list` prints. */
export function caseList(from: readonly BenchCase[] = cases): string {
  const width = Math.max(...from.map(({ name }) => name.length))
  const lines = from.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`)
  const groups = groupsOf(from).map(
    (group) =>
      `  ${group.padEnd(width)}  ${from
        .filter(({ groups }) => groups.includes(group))
        .map(({ name }) => name)
        .join(' ')}`,
  )
  return `Cases:\n${lines.join('\n')}\n\nGroups:\n${groups.join('\n')}\n`
}
