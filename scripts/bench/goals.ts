/** What ours must show, and whether it does: the table at the end of every bench. Pure. */
import type { CaseResult, Figure } from './results.ts'
import { spread } from './statistics.ts'
import { alignRows, disturbedMark, formatFigure, formatNumber } from './table.ts'

interface Goal {
  readonly title: string
  readonly case: string
  readonly figure: string
  readonly must: number
  /** Absent where there is nothing beyond what must be. */
  readonly aim?: number
  readonly better: 'more' | 'less'
  readonly unit: string
}

/** A goal beside what was found. */
export interface Verdict {
  readonly title: string
  readonly measured: string
  readonly must: string
  readonly aim: string
  /** Undefined: not measured in this bench. */
  readonly met: 'no' | 'must' | 'aim' | undefined
}

const latency = (size: string, label: string): Goal[] => [
  {
    title: `added latency at half load, p50, ${label}`,
    case: `latency-${size}`,
    figure: 'added-p50',
    must: 1,
    aim: 0.4,
    better: 'less',
    unit: ' ms',
  },
  {
    title: `added latency at half load, p99, ${label}`,
    case: `latency-${size}`,
    figure: 'added-p99',
    must: 10,
    aim: 4,
    better: 'less',
    unit: ' ms',
  },
]

/** Ratios are the edge's over the direct backend's, work per CPU-second. */
export const goals: readonly Goal[] = [
  {
    title: '256 KiB blocks, 8 × 16 wants, ratio',
    case: '256k',
    figure: 'ratio',
    must: 0.45,
    aim: 0.75,
    better: 'more',
    unit: '',
  },
  {
    title: '1 KiB blocks, 8 × 64 wants, ratio',
    case: '1k',
    figure: 'ratio',
    must: 0.5,
    aim: 1,
    better: 'more',
    unit: '',
  },
  {
    title: 'the same 256 KiB blocks wanted by many, ratio',
    case: 'hot',
    figure: 'ratio',
    must: 1,
    aim: 1.3,
    better: 'more',
    unit: '',
  },
  ...latency('256k', '256 KiB'),
  ...latency('1k', '1 KiB'),
  {
    title: 'memory per idle connection, tcp',
    case: 'idle-tcp',
    figure: 'edge',
    must: 90,
    aim: 40,
    better: 'less',
    unit: ' KiB',
  },
  {
    title: 'memory per idle connection, ws',
    case: 'idle-ws',
    figure: 'edge',
    must: 105,
    aim: 40,
    better: 'less',
    unit: ' KiB',
  },
  {
    title: 'CPU per new connection',
    case: 'connect',
    figure: 'edge',
    must: 4.5,
    aim: 2.5,
    better: 'less',
    unit: ' ms',
  },
  {
    title: 'executable to listening',
    case: 'start',
    figure: 'listening',
    must: 100,
    aim: 60,
    better: 'less',
    unit: ' ms',
  },
]

/** Returns every goal beside what was found. */
export function judge(results: readonly CaseResult[]): Verdict[] {
  const verdicts = goals.map((goal): Verdict => {
    const figure = results
      .find(({ name }) => name === goal.case)
      ?.figures.find(({ name }) => name === goal.figure)
    return {
      title: goal.title,
      measured: figure === undefined ? 'not measured' : formatFigure(figure),
      must: goal.must + goal.unit,
      aim: goal.aim === undefined ? '' : goal.aim + goal.unit,
      met: figure === undefined ? undefined : metBy(goal, figure),
    }
  })
  return [...verdicts, lostVerdict(results), slowVerdict(results)]
}

function metBy(goal: Goal, figure: Figure): 'no' | 'must' | 'aim' {
  const value = spread(figure.values).median
  const reaches = (bound: number): boolean => (goal.better === 'more' ? value >= bound : value <= bound)
  if (goal.aim !== undefined && reaches(goal.aim)) return 'aim'
  return reaches(goal.must) ? 'must' : 'no'
}

function lostVerdict(results: readonly CaseResult[]): Verdict {
  const runs = results.flatMap((result) => result.runs.filter(({ subject }) => subject === 'edge'))
  const lost = runs.reduce((sum, run) => sum + run.lost, 0)
  return {
    title: 'wants lost, in every case',
    measured: runs.length === 0 ? 'not measured' : `${lost} in ${runs.length} runs`,
    must: '0',
    aim: '0',
    met: runs.length === 0 ? undefined : lost === 0 ? 'aim' : 'no',
  }
}

/** Memory is bounded if it stands still once the readers are stuck; a twentieth is breathing. */
function slowVerdict(results: readonly CaseResult[]): Verdict {
  const figures = results.find(({ name }) => name === 'slow')?.figures ?? []
  const value = (name: string): number =>
    figures.find((figure) => figure.name === name)?.values[0] ?? Number.NaN
  const measured = figures.length > 0
  return {
    title: 'memory under 200 slow readers',
    measured: measured
      ? `${formatNumber(value('peak'))} MiB at most, ${formatNumber(value('growth'))} MiB of growth once stuck`
      : 'not measured',
    must: 'bounded',
    aim: '',
    met: measured ? (value('growth') <= value('peak') / 20 ? 'must' : 'no') : undefined,
  }
}

/** Returns the verdicts as lines, those of cases that were not run left out. */
export function verdictLines(verdicts: readonly Verdict[]): string[] {
  const shown = verdicts.filter(({ met }) => met !== undefined)
  if (shown.length === 0) return []
  const words = { no: 'not met', must: 'met', aim: 'met, and the aim' }
  const rows = shown.map(({ title, measured, must, aim, met }) => [
    title,
    measured,
    must,
    aim,
    words[met ?? 'no'],
  ])
  const lines = alignRows([['What ours must show', 'measured', 'must', 'aim', 'met?'], ...rows])
  const disturbed = shown.some(({ measured }) => measured.endsWith(disturbedMark))
  return disturbed
    ? [...lines, `${disturbedMark} other processes used the machine meanwhile: not to be trusted`]
    : lines
}
