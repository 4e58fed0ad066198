/**
 * Latency under an open loop: wants come at random times whether or not earlier ones are answered, as they do from
 * many clients that know nothing of each other. The rate is a share of what can be done at all, found first: with wants that
 * come one by one that is what the machine can do, which the backend and the clients share with the edge.
 */
import { availableParallelism } from 'node:os'
import type { BenchCase } from '../case.ts'
import { faultsOf } from '../case.ts'
import type { Lab } from '../lab.ts'
import { type LoadCase, loadOf, stageOf } from '../load-case.ts'
import { measure } from '../measure.ts'
import { type Figure, isDisturbed, type Run, type Series } from '../results.ts'
import { median } from '../statistics.ts'
import { type Subject, startStage } from '../subjects.ts'

/** Shares of the full rate; half of it is what the goals are about. */
const shares = [0.1, 0.25, 0.5, 0.7, 0.85]
const half = 0.5
/** In an open loop it is the rate that limits; this is only a bound. */
const openWindow = 4096

interface RateRun {
  readonly share: number
  readonly rate: number
  readonly run: Run
}

function latencyCase(spec: Omit<LoadCase, 'groups' | 'unit'>): BenchCase {
  const load: LoadCase = { ...spec, groups: [], unit: 'blocks' }
  return {
    name: spec.name,
    title: spec.title,
    groups: ['must', 'latency'],
    async run(lab) {
      const stage = await startStage(lab, stageOf(load))
      const full = await fullRate(lab, stage.subjects, load)
      const found: RateRun[] = []
      for (const share of lab.options.quick ? [half] : shares) {
        for (let round = 1; round <= (share === half ? lab.rounds : 1); round++) {
          for (const subject of stage.subjects) {
            const rate = full * share
            lab.progress(`${spec.name}: ${subject.kind} at ${Math.round(rate)} wants/s, round ${round}`)
            const open = { ...loadOf(lab, load, round), wants: openWindow, ratePerSec: rate }
            const run = await measure(lab, subject, stage.subjects[0]!, { unit: 'blocks', round, load: open })
            found.push({ share, rate, run })
          }
        }
      }
      const runs = found.filter(({ share }) => share === half).map(({ run }) => run)
      return {
        unit: 'blocks',
        runs,
        figures: [added(runs, 'p50Ms'), added(runs, 'p99Ms')],
        series: stage.subjects.flatMap(({ kind }) => curves(found, kind)),
        faults: faultsOf(found.map(({ run }) => run)),
        notes: [
          `half load is ${Math.round(full * half)} wants/s: ${Math.round(full)} would take up the edge or the machine`,
        ],
      }
    },
  }
}

/** From this share of what the edge does with always enough to do, the cost of wants that come one by one is told. */
const probe = 0.2

/**
 * Returns the blocks per second that are possible in an open loop, warm: those of the edge with always enough to do, or
 * those at which all processes together would take up the machine, whichever are fewer. Answers that wait for each other
 * leave in one message, so that a closed loop tells too much where blocks are small.
 */
async function fullRate(lab: Lab, subjects: readonly Subject[], load: LoadCase): Promise<number> {
  const edge = subjects.find(({ kind }) => kind === 'edge')!
  const run = (round: number, more: object): Promise<Run> => {
    lab.progress(`${load.name}: how much can be done`)
    return measure(lab, edge, subjects[0]!, {
      unit: 'blocks',
      round,
      load: { ...loadOf(lab, load, round), ...more },
    })
  }
  await run(0, {})
  const closed = await run(1, {})
  const most = closed.blocks / closed.seconds
  const open = await run(2, { wants: openWindow, ratePerSec: most * probe })
  const cores = Object.values(open.cpuByPart).reduce((sum, seconds) => sum + seconds, 0) / open.seconds
  return Math.min(most, (open.blocks / open.seconds) * (availableParallelism() / cores))
}

/** Returns how much later answers come than from the backend itself. */
function added(runs: readonly Run[], quantile: 'p50Ms' | 'p99Ms'): Figure {
  const of = (subject: string, round: number): number =>
    runs.find((run) => run.subject === subject && run.round === round)?.[quantile] ?? Number.NaN
  const rounds = runs.filter(({ subject }) => subject === 'edge').map(({ round }) => round)
  return {
    name: `added-${quantile.slice(0, 3)}`,
    title: `added latency at half load, ${quantile.slice(0, 3)}`,
    unit: 'ms',
    values: rounds.map((round) => of('edge', round) - of('direct', round)),
    disturbed: isDisturbed(runs),
  }
}

function curves(found: readonly RateRun[], subject: Subject['kind']): Series[] {
  return (['p50Ms', 'p99Ms'] as const).map((quantile) => ({
    plot: 'latency',
    subject,
    label: `${subject} ${quantile.slice(0, 3)}`,
    xUnit: 'wants/s',
    yUnit: 'ms',
    points: [...new Set(found.map(({ share }) => share))].map((share) => {
      const own = found.filter(({ run, ...at }) => at.share === share && run.subject === subject)
      return [own[0]?.rate ?? 0, median(own.map(({ run }) => run[quantile] ?? Number.NaN))] as const
    }),
  }))
}

export const latencyCases = [
  latencyCase({
    name: 'latency-256k',
    title: 'latency of 256 KiB blocks, 8 clients, wants at random times',
    env: { KITSUNE_CACHE: '0' },
    load: { blocks: 1024, blockBytes: 256 * 1024, clients: 8, wants: 16, sendDontHave: true },
  }),
  latencyCase({
    name: 'latency-1k',
    title: 'latency of 1 KiB blocks, 8 clients, wants at random times',
    env: { KITSUNE_CACHE: '0' },
    load: { blocks: 32_768, blockBytes: 1024, clients: 8, wants: 64, sendDontHave: true },
  }),
]
