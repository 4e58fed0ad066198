import { expect, test } from 'bun:test'
import { cases } from '../../../scripts/bench/cases.ts'
import { goals, judge, verdictLines } from '../../../scripts/bench/goals.ts'
import type { Figure } from '../../../scripts/bench/results.ts'
import { alignRows, caseLines, formatFigure, formatNumber } from '../../../scripts/bench/table.ts'
import { aCase, aRun } from './a-result.ts'

const figure = (what: Partial<Figure>): Figure => ({
  name: 'ratio',
  title: 'edge ÷ direct',
  unit: '',
  values: [1],
  disturbed: false,
  ...what,
})

test('numbers have the digits that are worth reading', () => {
  expect([0, 0.123, 12.34, 123.4, 1234.5, 1_234_567, -0.5].map(formatNumber)).toEqual([
    '0.00',
    '0.12',
    '12.3',
    '123',
    '1 235',
    '1 234 567',
    '-0.50',
  ])
  expect([null, Number.NaN].map(formatNumber)).toEqual(['–', '–'])
})

test('a figure shows its ends where there are any, its unit, and that it was disturbed', () => {
  expect(formatFigure(figure({ values: [3, 1, 2], unit: 'ms' }))).toBe('2.00 (1.00–3.00) ms')
  expect(formatFigure(figure({ values: [0.5], disturbed: true }))).toBe('0.50 ~')
})

test('columns stand under each other', () => {
  expect(
    alignRows([
      ['', 'a'],
      ['name', '10'],
      ['x', ''],
    ]),
  ).toEqual(['       a', 'name  10', 'x'])
})

test('a case shows medians, and the losses of all rounds', () => {
  const runs = [aRun({ round: 0, lost: 2, cpuSeconds: 50 }), aRun(), aRun({ round: 2, lost: 1 })]
  const lines = caseLines(aCase({ runs, figures: [figure({ values: [0.4] })], faults: ['3 wants lost'] }))
  expect(lines[0]).toBe('256k · some blocks')
  expect(lines[2]?.trim().split(/ +/)).toEqual([
    'edge',
    '200',
    '50.0',
    '1.00',
    '9.00',
    '3',
    '0',
    '1.00',
    '100',
    '64.0',
  ])
  expect(lines.slice(3)).toEqual(['  edge ÷ direct:  0.40', '  ✘ 3 wants lost'])
})

test('every goal names a case that exists', () => {
  const names = cases.map(({ name }) => name)
  expect(goals.filter((goal) => !names.includes(goal.case))).toEqual([])
})

test.each([
  [0.44, 'no'],
  [0.45, 'must'],
  [0.75, 'aim'],
])('more is better: %d is %s', (value, met) => {
  const verdict = judge([aCase({ figures: [figure({ values: [value] })] })])[0]
  expect(verdict).toMatchObject({ must: '0.45', aim: '0.75', met })
})

test.each([
  [4.6, 'no'],
  [4.5, 'must'],
  [2.5, 'aim'],
])('less is better: %d ms is %s', (value, met) => {
  const connect = aCase({ name: 'connect', figures: [figure({ name: 'edge', unit: 'ms', values: [value] })] })
  expect(judge([connect]).find(({ title }) => title === 'CPU per new connection')?.met).toBe(met as 'no')
})

test('one want that the edge lost anywhere is too many', () => {
  const results = [aCase({ runs: [aRun(), aRun({ subject: 'direct', lost: 5 })] })]
  const lost = (of: typeof results) => judge(of).find(({ title }) => title.startsWith('wants lost'))
  expect(lost(results)?.met).toBe('aim')
  expect(lost([...results, aCase({ name: '1k', runs: [aRun({ round: 0, lost: 1 })] })])?.met).toBe('no')
})

test('what was not measured is not in the table', () => {
  expect(verdictLines(judge([]))).toEqual([])
  const lines = verdictLines(judge([aCase({ figures: [figure({ values: [0.5], disturbed: true })] })]))
  expect(lines).toHaveLength(3)
  expect(lines[1]).toContain('0.50 ~')
  expect(lines[2]).toContain('not to be trusted')
})
