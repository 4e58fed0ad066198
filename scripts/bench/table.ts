/** Tables for a terminal. All of it is pure. */
import { perCpuSecond } from './case.ts'
import {
  type CaseResult,
  type Figure,
  isDisturbed,
  type Run,
  type SubjectKind,
  type Unit,
} from './results.ts'
import { median, spread } from './statistics.ts'

/** What stands behind a figure while which others used the machine. */
export const disturbedMark = '~'

/** Returns rows under each other: the first column to the left, all others to the right. */
export function alignRows(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** Returns a number with as many digits as are worth reading: three or so. */
export function formatNumber(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '–'
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ')
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

/** Returns the median of a figure and, if there is more than one value, both ends. */
export function formatFigure(figure: Figure): string {
  const { median: middle, min, max } = spread(figure.values)
  const unit = figure.unit === '' ? '' : ` ${figure.unit}`
  const range = figure.values.length > 1 ? ` (${formatNumber(min)}–${formatNumber(max)})` : ''
  return `${formatNumber(middle)}${range}${unit}${figure.disturbed ? ` ${disturbedMark}` : ''}`
}

/** Returns the heads of the columns of `subjectCells`. */
export function subjectHeader(unit: Unit): string[] {
  // Not every case is about blocks: what it counts is what is shown.
  const counted = unit === 'MiB' ? 'blocks' : unit
  return [`${counted}/s`, 'MiB/s', 'p50 ms', 'p99 ms', 'lost', 'wrong', 'CPU s', `${unit}/CPU-s`, 'peak MiB']
}

/** Returns what a subject did in a case, medians of its rounds; losses are those of all rounds together. */
export function subjectCells({ runs, unit }: CaseResult, subject: SubjectKind): string[] {
  const all = runs.filter((run) => run.subject === subject)
  const counted = all.filter(({ round }) => round > 0)
  const of = (read: (run: Run) => number | null): string =>
    formatNumber(median(counted.map(read).filter((value) => value !== null)))
  const sum = (read: (run: Run) => number): string => String(all.reduce((total, run) => total + read(run), 0))
  return [
    of((run) => (unit === 'MiB' ? run.blocks : run.work) / run.seconds),
    of((run) => run.bytes / run.seconds / 2 ** 20),
    of((run) => run.p50Ms),
    of((run) => run.p99Ms),
    sum((run) => run.lost),
    sum((run) => run.wrong),
    of((run) => run.cpuSeconds),
    formatNumber(median([...perCpuSecond(runs, subject).values()])),
    of((run) => run.peakBytes / 2 ** 20) + (isDisturbed(counted) ? ` ${disturbedMark}` : ''),
  ]
}

/** Returns one case as lines: a row for each subject, then the figures. */
export function caseLines(result: CaseResult): string[] {
  const subjects = [...new Set(result.runs.map(({ subject }) => subject))]
  const rows = subjects.map((subject) => [subject, ...subjectCells(result, subject)])
  const figures = result.figures.map((figure) => [`${figure.title}:`, formatFigure(figure)])
  const lines = [
    ...(rows.length === 0 ? [] : alignRows([['', ...subjectHeader(result.unit)], ...rows])),
    ...alignRows(figures),
    ...result.notes.map((note) => `(${note})`),
    ...result.faults.map((fault) => `✘ ${fault}`),
  ]
  return [`${result.name} · ${result.title}`, ...lines.map((line) => `  ${line}`)]
}
