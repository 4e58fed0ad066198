/** Memory under those who stop reading, and over a long time of coming and going. */
import { startGoChurn, startGoLoad } from '#test/support/go-load.ts'
import type { BenchCase } from '../case.ts'
import { faultsOf } from '../case.ts'
import type { Lab } from '../lab.ts'
import { CpuClock, counted, dialling, measure, partsOf } from '../measure.ts'
import { memory, resetPeak, watchMemory } from '../proc.ts'
import type { CaseResult, Run, Series, SubjectKind } from '../results.ts'
import { lastPart, slope } from '../statistics.ts'
import { type Subject, startStage } from '../subjects.ts'

const content = { blocks: 1024, blockBytes: 256 * 1024 }
/** Memory before this part of a run is that of warming up. */
const settledPart = 0.6

function memoryLine(subject: SubjectKind, points: Series['points']): Series {
  return { plot: 'memory', subject, label: subject, xUnit: 's', yUnit: 'MiB', points }
}

const slowCase: BenchCase = {
  name: 'slow',
  title: '200 clients that want 16 MiB each and stop reading, then 8 beside them that read',
  groups: ['must', 'memory'],
  async run(lab) {
    const stage = await startStage(lab, { content, kinds: ['direct', 'edge', 'other'] })
    const found: SlowRun[] = []
    for (const subject of stage.subjects)
      found.push(await besideSlowReaders(lab, subject, stage.subjects[0]!))
    const runs = found.flatMap((each) => each.runs)
    const series = found.map(({ runs, points }) => memoryLine(runs[0]!.subject, points))
    const edge = found.find((each) => each.runs[0]?.subject === 'edge')!
    const peak = Math.max(...edge.points.map(([, mib]) => mib))
    const disturbed = false
    return {
      unit: 'MiB',
      runs,
      figures: [
        { name: 'peak', title: 'most memory under slow readers', unit: 'MiB', values: [peak], disturbed },
        {
          name: 'growth',
          title: 'growth once they are stuck',
          unit: 'MiB',
          values: [edge.growth],
          disturbed,
        },
      ],
      series,
      faults: faultsOf(runs),
      notes: [
        'configured: KITSUNE_CLIENT_BUFFER_TOTAL and KITSUNE_CACHE of 256 MiB each; the others read before and beside',
      ],
    }
  },
}

interface SlowRun {
  /** Those who read: before the slow ones came, and beside them. */
  readonly runs: readonly Run[]
  readonly points: Series['points']
  /** MiB while nothing happened. */
  readonly growth: number
}

async function besideSlowReaders(lab: Lab, subject: Subject, backend: Subject): Promise<SlowRun> {
  const clients = lab.options.quick ? 50 : 200
  const name = `slow: ${subject.kind}`
  const { seconds } = lab
  const load = { ...content, clients: 8, wants: 16, seconds, settle: true, loop: true }
  const read = (round: number): Promise<Run> => measure(lab, subject, backend, { unit: 'MiB', round, load })

  // With the cache full and the code warm, what grows later is what slow readers cause.
  lab.progress(`${name}, 8 clients read`)
  const watch = watchMemory(subject.pid)
  const before = await read(0)
  lab.progress(`${name}, ${clients} clients stop reading`)
  const stuck = { ...content, clients, wants: 64, count: 64, shared: true, shuffle: true, slow: true }
  const forLong = { seconds: seconds * 100, lostAfterMs: seconds * 100_000 }
  const slow = await lab.keep(startGoLoad({ ...dialling(subject), ...stuck, ...forLong }))
  await lab.pause(seconds)
  const still = watchMemory(subject.pid)
  await lab.pause(seconds * 2)
  const stillPoints = still.stop()
  lab.progress(`${name}, 8 clients read beside them`)
  const beside = await read(1)
  const points = watch.stop()
  await lab.release(slow)
  return { runs: [before, beside], points, growth: slope(stillPoints) * (stillPoints.at(-1)?.[0] ?? 0) }
}

const soakCase: BenchCase = {
  name: 'soak',
  title: 'clients come, want 16 blocks of 256 KiB and go, 16 at a time',
  groups: ['memory'],
  async run(lab) {
    const seconds = lab.options.quick ? 10 : lab.options.soakMinutes * 60
    const stage = await startStage(lab, { content, kinds: ['direct', 'edge'] })
    const edge = stage.subjects.find(({ kind }) => kind === 'edge')!
    return soak(lab, edge, stage.subjects[0]!, seconds)
  },
}

async function soak(
  lab: Lab,
  subject: Subject,
  backend: Subject,
  seconds: number,
): Promise<Omit<CaseResult, 'name' | 'title'>> {
  resetPeak(subject.pid)
  lab.progress(`soak: ${seconds} s of coming and going`)
  const load = await lab.keep(
    startGoChurn({ ...dialling(subject), ...content, clients: 16, wants: 16, count: 16, seconds }),
  )
  const watch = watchMemory(subject.pid, 1000)
  const clock = new CpuClock({ ...partsOf(subject, backend), load: load.process.pid })
  const result = await load.result((seconds + 60) * 1000)
  const { byPart, strangers } = clock.read({ load: result.cpuSeconds })
  const points = watch.stop()
  const run: Run = {
    ...counted(result, 'MiB'),
    errors: result.errors + result.visitsFailed,
    subject: subject.kind,
    round: 1,
    cpuSeconds: byPart[subject.kind] ?? Number.NaN,
    peakBytes: memory(subject.pid, 'VmHWM'),
    cpuByPart: byPart,
    strangers,
  }
  const perHour = slope(lastPart(points, settledPart)) * 3600
  return {
    unit: 'MiB',
    runs: [run],
    figures: [
      {
        name: 'slope',
        title: 'slope of memory, last 60 %',
        unit: 'MiB/h',
        values: [perHour],
        disturbed: false,
      },
    ],
    series: [memoryLine(subject.kind, points)],
    faults: faultsOf([run]),
    notes: [`${result.visits} visits in ${seconds} s; a slope needs minutes to mean anything`],
  }
}

export const enduranceCases = [slowCase, soakCase]
