/** Lines over rate or time, by uPlot. Colours are those of the page's style when it is drawn. */
import uPlot from 'uplot'
import type { CaseResult, Series } from '../results.ts'
import { formatNumber } from '../table.ts'
import { card, colourOf, make } from './elements.ts'

const height = 280
const font = '12px system-ui, sans-serif'
/** With fewer points than this each one is marked. */
const markedUpTo = 12

/** Returns a card with the lines of one case. */
export function plot(result: CaseResult, series: readonly Series[]): HTMLElement {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b)
  const columns = series.map(({ points }) => {
    const at = new Map(points)
    return xs.map((x) => at.get(x) ?? null)
  })
  const place = make('div')
  const drawn = new uPlot(optionsOf(series, xs.length), [xs, ...columns], place)
  const fit = (): void => drawn.setSize({ width: Math.max(280, place.clientWidth), height })
  new ResizeObserver(fit).observe(place)
  return card(result.name, result.title, place)
}

function optionsOf(series: readonly Series[], points: number): uPlot.Options {
  const { xUnit = '', yUnit = '', plot: kind } = series[0] ?? {}
  const rule = { stroke: colourOf('line'), width: 1 }
  const axis: uPlot.Axis = {
    stroke: colourOf('quiet'),
    grid: rule,
    ticks: rule,
    font,
    labelFont: font,
    labelSize: 20,
  }
  const read = (unit: string) => (_: uPlot, value: number | null) =>
    value === null || value === undefined ? '–' : `${formatNumber(value)} ${unit}`
  return {
    width: 460,
    height,
    legend: { markers: { dash: (_, i) => (series[i - 1]?.label.endsWith('p99') ? 'dashed' : 'solid') } },
    scales: {
      x: { time: false },
      // Latencies differ by orders of magnitude; memory begins at nothing.
      y:
        kind === 'latency'
          ? { distr: 3, log: 10 }
          : { range: (_, __, high) => [0, Math.max(high * 1.05, 1)] },
    },
    axes: [
      { ...axis, label: xUnit },
      { ...axis, label: yUnit, size: 56, ...(kind === 'latency' && { values: someOfDecade }) },
    ],
    series: [
      { label: xUnit, value: read('') },
      ...series.map(
        ({ label, subject }): uPlot.Series => ({
          label,
          stroke: colourOf(subject),
          width: 2,
          spanGaps: true,
          points: { show: points < markedUpTo, size: 6 },
          value: read(yUnit),
          ...(label.endsWith('p99') && { dash: [5, 4] }),
        }),
      ),
    ],
  }
}

/** Labels 1, 2 and 5 of every decade: all nine run into each other. */
function someOfDecade(_: uPlot, splits: readonly (number | null)[]): string[] {
  return splits.map((value) => {
    if (value === null || value <= 0) return ''
    const digit = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9))
    return [1, 2, 5].includes(digit) ? String(Number(value.toPrecision(1))) : ''
  })
}
