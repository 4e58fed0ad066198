/** What a case is, and what all of them share. */
import type { Lab } from './lab.ts'
import { type CaseResult, type Figure, isDisturbed, type Run, type SubjectKind } from './results.ts'

export interface BenchCase {
  readonly name: string
  readonly title: string
  /** Under which names it runs together with others. */
  readonly groups: readonly string[]
  run(lab: Lab): Promise<Omit<CaseResult, 'name' | 'title'>>
}

/** Returns what was lost or wrong in runs, in words. */
export function faultsOf(runs: readonly Run[]): string[] {
  const faults: string[] = []
  for (const { subject, round, lost, wrong, errors } of runs) {
    // What another proxy loses is a result of the bench, not a fault of ours.
    if (subject !== 'edge') continue
    if (lost > 0) faults.push(`${lost} wants lost at the ${subject}, round ${round}`)
    if (wrong > 0) faults.push(`${wrong} wrong blocks from the ${subject}, round ${round}`)
    if (errors > 0) faults.push(`${errors} broken streams or connections at the ${subject}, round ${round}`)
  }
  return faults
}

/** Returns the work that a subject did per CPU-second, by round, the first load left out. */
export function perCpuSecond(runs: readonly Run[], subject: SubjectKind): Map<number, number> {
  const own = runs.filter((run) => run.subject === subject && run.round > 0)
  return new Map(own.map((run) => [run.round, run.work / run.cpuSeconds]))
}

/**
 * Returns the work of subjects per CPU-second over that of the backend itself, round by round; `first` is the edge's
 * first load after its start over the backend's median, just-in-time compilation included.
 */
export function ratios(runs: readonly Run[]): Figure[] {
  const figures: Figure[] = []
  const direct = perCpuSecond(runs, 'direct')
  for (const subject of ['edge', 'haproxy', 'other'] as const) {
    const own = perCpuSecond(runs, subject)
    const values = [...own].map(([round, value]) => value / (direct.get(round) ?? Number.NaN))
    if (values.length === 0) continue
    const name = subject === 'edge' ? 'ratio' : `ratio-${subject}`
    const disturbed = isDisturbed(runs.filter((run) => run.round > 0))
    figures.push({ name, title: `${subject} ÷ direct, per CPU-second`, unit: '', values, disturbed })
  }
  const cold = runs.find((run) => run.subject === 'edge' && run.round === 0)
  const base = [...direct.values()]
  if (cold !== undefined && base.length > 0) {
    const mean = base.reduce((sum, value) => sum + value, 0) / base.length
    const title = 'edge ÷ direct, first load after its start'
    const values = [cold.work / cold.cpuSeconds / mean]
    figures.push({ name: 'first', title, unit: '', values, disturbed: isDisturbed([cold]) })
  }
  return figures
}
