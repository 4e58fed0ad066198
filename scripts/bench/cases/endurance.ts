/** Memory under those who stop reading, and over a long time of coming and going. */
import { startGoChurn, startGoLoad } from '#test/support/go-load.ts'
import type { BenchCase } from '../case.ts'
import { faultsOf } from '../case.ts'
import type { Lab } from '../lab.ts'
import { CpuClock, counted, measure, partsOf } from '../measure.ts'
import { memory, resetPeak, watchMemory } from '../proc.ts'
import type { CaseResult, Run, Series } from '../results.ts'
import { lastPart, slope } from '../statistics.ts'
import { type Subject, startStage } from '../subjects.ts'

const content = { blocks: 1024, blockBytes: 256 * 1024 }
/** What an edge may hold by default: queued blocks and cached ones, 256 MiB each. */
const configuredMiB = 512
/** Memory before this part of a run is that of warming up. */
const settledPart = 0.6

function memoryLine(subject: Subject, points: Series['points']): Series {
  return { plot: 'memory', subject: subject.kind, label: subject.kind, xUnit: 's', yUnit: 'MiB', points }
}

const slowCase: BenchCase = {
  name: 'slow',
  title: '200 clients that want 16 MiB each and stop reading, then 8 that read',
  groups: ['must', 'memory'],
  async run(lab) {
    const stage = await startStage(lab, { content, kinds: ['direct', 'edge', 'other'] })
    const runs: Run[] = []
    const series: Series[] = []
    for (const subject of stage.subjects) {
      const { run, points } = await besideSlowReaders(lab, subject, stage.subjects[0]!)
      runs.push(run)
      series.push(memoryLine(subject, points))
    }
    const edge = series.find(({ subject }) => subject === 'edge')!.points
    const peak = Math.max(...edge.map(([, mib]) => mib))
    const late = lastPart(edge, settledPart)
    const growth = slope(late) * ((late.at(-1)?.[0] ?? 0) - (late[0]?.[0] ?? 0))
    const disturbed = false
    return {
      unit: 'MiB',
      runs,
      figures: [
        { name: 'peak', title: 'most memory under slow readers', unit: 'MiB', values: [peak], disturbed },
        {
          name: 'over',
          title: 'beyond what is configured',
          unit: 'MiB',
          values: [peak - configuredMiB],
          disturbed,
        },
        { name: 'growth', title: 'growth once they are stuck', unit: 'MiB', values: [growth], disturbed },
      ],
      series,
      faults: faultsOf(runs),
      notes: [`configured: KITSUNE_CLIENT_BUFFER_TOTAL and KITSUNE_CACHE of 256 MiB each`],
    }
  },
}

async function besideSlowReaders(
  lab: Lab,
  subject: Subject,
  backend: Subject,
): Promise<{ run: Run; points: Series['points'] }> {
  const clients = lab.options.quick ? 50 : 200
  lab.progress(`slow: ${clients} clients stop reading at ${subject.kind}`)
  const peer = subject.tcp
  const stuck = { ...content, clients, wants: 64, count: 64, shared: true, shuffle: true, slow: true }
  const seconds = lab.seconds * 4
  const slow = await lab.keep(
    startGoLoad({ peer, ...stuck, seconds: seconds * 10, lostAfterMs: seconds * 10_000 }),
  )
  const watch = watchMemory(subject.pid)
  await lab.pause(seconds / 2)
  lab.progress(`slow: 8 clients read from ${subject.kind} meanwhile`)
  const load = { ...content, clients: 8, wants: 16, seconds: seconds / 2, settle: true, loop: true }
  const run = await measure(lab, subject, backend, { unit: 'MiB', round: 1, load })
  const points = watch.stop()
  await lab.release(slow)
  return { run: { ...run, cpuByPart: {} }, points }
}

const soakCase: BenchCase = {
  name: 'soak',
  title: 'clients come, want 16 blocks of 256 KiB and go, 16 at a time',
  groups: ['memory'],
  async run(lab) {
    const seconds = lab.options.quick ? 10 : 300
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
    startGoChurn({ peer: subject.tcp, ...content, clients: 16, wants: 16, count: 16, seconds }),
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
    series: [memoryLine(subject, points)],
    faults: faultsOf([run]),
    notes: [`${result.visits} visits in ${seconds} s; a slope needs minutes to mean anything`],
  }
}

export const enduranceCases = [slowCase, soakCase]
