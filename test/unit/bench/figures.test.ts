import { expect, test } from 'bun:test'
import { faultsOf, ratios } from '../../../scripts/bench/case.ts'
import { aRun } from './a-result.ts'

const direct = (round: number, cpuSeconds: number) => aRun({ subject: 'direct', round, cpuSeconds })

test('a ratio compares the two of one round, and leaves the first load out', () => {
  const runs = [direct(0, 9), aRun({ round: 0, cpuSeconds: 4 }), direct(1, 1), direct(2, 2), direct(3, 1)]
  const edges = [2, 8, 2].map((cpuSeconds, i) => aRun({ round: i + 1, cpuSeconds }))
  const [ratio, first] = ratios([...runs, ...edges])
  expect(ratio).toMatchObject({ name: 'ratio', values: [0.5, 0.25, 0.5], disturbed: false })
  expect(first).toMatchObject({ name: 'first', values: [25 / (250 / 3)] })
})

test('each subject has a ratio of its own', () => {
  const runs = [direct(1, 2), aRun({ cpuSeconds: 4 }), aRun({ subject: 'haproxy', cpuSeconds: 1 })]
  expect(ratios(runs).map(({ name, values }) => [name, values])).toEqual([
    ['ratio', [0.5]],
    ['ratio-haproxy', [2]],
  ])
})

test('one run beside others makes a ratio untrustworthy', () => {
  expect(ratios([direct(1, 1), aRun({ strangers: 0.5 })])[0]?.disturbed).toBe(true)
})

test('what the edge loses is a fault, what others lose is not', () => {
  const runs = [
    aRun({ lost: 3 }),
    aRun({ wrong: 1, errors: 2, round: 2 }),
    aRun({ subject: 'haproxy', lost: 9 }),
  ]
  expect(faultsOf(runs)).toEqual([
    '3 wants lost at the edge, round 1',
    '1 wrong blocks from the edge, round 2',
    '2 broken streams or connections at the edge, round 2',
  ])
})
