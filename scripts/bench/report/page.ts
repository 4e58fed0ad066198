/** Draws the report. Everything comes from the JSON in the page; nothing is fetched. */
import type { Verdict } from '../goals.ts'
import type { BenchResult, CaseResult, ProfileResult, Series } from '../results.ts'
import { median } from '../statistics.ts'
import { disturbedMark, formatFigure, formatNumber, subjectCells, subjectHeader } from '../table.ts'
import { bar, card, keys, make, table } from './elements.ts'
import { plot } from './plots.ts'

const content = JSON.parse(document.getElementById('result')?.textContent ?? '{}') as BenchResult & {
  readonly verdicts: readonly Verdict[]
}
const page = document.querySelector('main') as HTMLElement

function section(title: string, ...children: readonly HTMLElement[]): void {
  page.append(make('h2', {}, title), ...children)
}

function drawHead({ cases, startedAt, machine, quick }: BenchResult): void {
  const when = startedAt.slice(0, 16).replace('T', ' ')
  const short = quick ? ' · one short round of each case' : ''
  page.append(
    make('h1', {}, 'Kitsune bench'),
    make('p', { class: 'quiet' }, `${when} UTC · ${machine}${short}`),
  )
  if (cases.some(({ figures }) => figures.some(({ disturbed }) => disturbed))) {
    const text = `${disturbedMark} Other processes used the machine meanwhile: figures with this mark are not to be trusted.`
    page.append(make('p', { class: 'fault' }, text))
  }
  for (const { name, faults } of cases) {
    for (const fault of faults) page.append(make('p', { class: 'fault' }, `${name}: ${fault}`))
  }
}

function drawVerdicts(verdicts: readonly Verdict[]): void {
  const words = { no: 'not met', must: 'met', aim: 'met, and the aim' }
  const rows = verdicts.flatMap(({ title, measured, must, aim, met }) =>
    met === undefined ? [] : [[title, measured, must, aim, make('td', { class: `met-${met}` }, words[met])]],
  )
  if (rows.length === 0) return
  const shown = table(['', 'measured', 'must', 'aim', 'met?'], rows)
  section('What ours must show', make('div', { class: 'card' }, shown))
}

/** Work per CPU-second over that of the backend itself. HAProxy only passes bytes: it is in the tables. */
function drawRatios(cases: readonly CaseResult[]): void {
  const room = 0.76
  const most = 3
  const found = cases.flatMap(({ name, figures }) => {
    const figure = figures.find((each) => each.name === 'ratio')
    return figure === undefined ? [] : [{ name, figure, value: median(figure.values) }]
  })
  if (found.length === 0) return
  const end = Math.max(1.1, ...found.map(({ value }) => Math.min(most, value)))
  const bars = found.flatMap(({ name, figure, value }) => {
    const track = make('div', { class: 'track' })
    track.append(bar('edge', (Math.min(value, end) / end) * room), make('b', {}, formatFigure(figure)))
    track.append(make('div', { class: 'mark', style: `left: ${(room / end) * 100}%` }))
    return [make('span', {}, name), track]
  })
  const about = 'Dotted line: as cheap as serving without a proxy. Longer is better.'
  section(
    'Work per CPU-second, the edge over the backend itself',
    make(
      'div',
      { class: 'card' },
      make('p', { class: 'quiet' }, about),
      make('div', { class: 'bars' }, ...bars),
    ),
  )
}

function drawPlots(kind: Series['plot'], title: string, cases: readonly CaseResult[]): void {
  const cards = cases.flatMap((each) => {
    const series = each.series.filter((one) => one.plot === kind && one.points.length > 1)
    return series.length > 0 ? [plot(each, series)] : []
  })
  if (cards.length > 0) section(title, make('div', { class: 'pair' }, ...cards))
}

/** Which process the CPU time went to while the edge served. */
function drawShares(cases: readonly CaseResult[]): void {
  const names = ['edge', 'backend', 'load'] as const
  const bars = cases.flatMap(({ name, runs }) => {
    const own = runs.filter(
      (run) => run.subject === 'edge' && run.round > 0 && run.cpuByPart['load'] !== undefined,
    )
    if (own.length === 0) return []
    const parts = names.map((part) => ({ part, seconds: median(own.map((run) => run.cpuByPart[part] ?? 0)) }))
    const all = parts.reduce((sum, { seconds }) => sum + seconds, 0)
    const shown = parts.map(({ part, seconds }) => {
      const share = seconds / all
      const label = share > 0.06 ? `${Math.round(share * 100)} %` : ''
      return bar(part, share, label, `${part}: ${formatNumber(seconds)} CPU-s`)
    })
    return [make('span', {}, name), make('div', { class: 'track' }, ...shown)]
  })
  if (bars.length === 0) return
  const shown = make('div', { class: 'card' }, keys(names), make('div', { class: 'bars' }, ...bars))
  section('CPU share by process, through the edge', shown)
}

function drawProfiles(profiles: readonly ProfileResult[]): void {
  if (profiles.length === 0) return
  const cards = profiles.map(({ name, rooms, userSeconds, systemSeconds }) => {
    const most = Math.max(...rooms.map(({ share }) => share))
    const bars = rooms.flatMap(({ room, share, top }) => {
      const percent = (part: number): string => `${(part * 100).toFixed(1)} %`
      const title = top.map((one) => `${percent(one.share)} ${one.name}`).join('\n')
      const track = [bar('edge', (share / most) * 0.75, '', title), make('b', {}, percent(share))]
      return [make('span', {}, room), make('div', { class: 'track' }, ...track)]
    })
    const all = userSeconds + systemSeconds
    const kernel = `${Math.round((systemSeconds / all) * 100)} % of ${formatNumber(all)} CPU-s in the kernel`
    return card(name, `self time by room; ${kernel}`, make('div', { class: 'bars' }, ...bars))
  })
  section('CPU share by part of the edge', make('div', { class: 'pair' }, ...cards))
}

function drawCase(each: CaseResult): HTMLElement {
  const subjects = [...new Set(each.runs.map(({ subject }) => subject))]
  const rows = subjects.map((subject) => {
    const key = make('span', { class: 'key', style: `--of: var(--${subject})` }, subject)
    return [make('td', {}, key), ...subjectCells(each, subject)]
  })
  const runs = rows.length > 0 ? [table(['', ...subjectHeader(each.unit)], rows)] : []
  const list = table(
    ['', 'median (least–most)'],
    each.figures.map((figure) => [figure.title, formatFigure(figure)]),
  )
  const figures = rows.length > 0 ? make('details', {}, make('summary', {}, 'figures'), list) : list
  const about = [each.title, ...each.notes].join(' · ')
  return card(each.name, about, ...runs, ...(each.figures.length > 0 ? [figures] : []))
}

drawHead(content)
drawVerdicts(content.verdicts)
drawRatios(content.cases)
drawPlots('latency', 'Latency over rate', content.cases)
drawPlots('memory', 'Memory over time', content.cases)
drawShares(content.cases)
drawProfiles(content.profiles)
section('All cases', ...content.cases.map(drawCase))
// A canvas does not follow the style by itself.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => location.reload())
