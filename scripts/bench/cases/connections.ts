/** What connections cost: memory of those that do nothing, CPU of new ones. */
import { startGoChurn, startGoIdle } from '#test/support/go-load.ts'
import type { BenchCase } from '../case.ts'
import type { Lab } from '../lab.ts'
import { inTurns } from '../load-case.ts'
import { CpuClock, counted, dialling, partsOf } from '../measure.ts'
import { memory, resetPeak } from '../proc.ts'
import { type Figure, isDisturbed, type Run, type SubjectKind } from '../results.ts'
import { type Subject, startStage } from '../subjects.ts'

/** Memory is read when connections have been silent for so long. */
const restSeconds = 2
/** Opened and closed again first, so that code and pools are not counted as memory of connections. */
const warmConnections = 50
const noContent = { blocks: 0, blockBytes: 1024 }

function idleCase(over: 'tcp' | 'ws'): BenchCase {
  const name = `idle-${over}`
  return {
    name,
    title: `memory of idle connections over ${over}`,
    groups: ['must', 'connections'],
    async run(lab) {
      const count = lab.options.quick ? 250 : 1000
      const found: { subject: SubjectKind; kibibytes: number }[] = []
      for (let round = 1; round <= lab.rounds; round++) {
        // New processes every time: memory that was freed would be used again and hide what is needed.
        const { subjects } = await startStage(lab, { content: noContent })
        for (const subject of subjects) {
          if (subject[over] === '') continue
          lab.progress(`${name}: ${count} connections to ${subject.kind}, round ${round} of ${lab.rounds}`)
          found.push({
            subject: subject.kind,
            kibibytes: await memoryPerConnection(lab, subject, { over, count }),
          })
        }
        await lab.clear()
      }
      const figures = (['edge', 'direct', 'haproxy', 'other'] as const).flatMap((subject): Figure[] => {
        const values = found.filter((each) => each.subject === subject).map(({ kibibytes }) => kibibytes)
        if (values.length === 0) return []
        const title = `memory per idle connection, ${subject}`
        return [{ name: subject, title, unit: 'KiB', values, disturbed: false }]
      })
      return {
        unit: 'connections',
        runs: [],
        figures,
        series: [],
        faults: [],
        notes: [`${count} connections`],
      }
    },
  }
}

/** Returns the KiB that each of `count` connections to a subject costs it while nothing happens. */
export async function memoryPerConnection(
  lab: Lab,
  subject: Subject,
  { over, count }: { over?: 'tcp' | 'ws'; count: number },
): Promise<number> {
  const how = dialling(subject, over)
  const warm = await lab.keep(startGoIdle({ ...how, connections: warmConnections }))
  await lab.release(warm)
  await lab.pause(restSeconds)
  const before = memory(subject.pid)
  const idle = await lab.keep(startGoIdle({ ...how, connections: count }))
  await lab.pause(restSeconds)
  const after = memory(subject.pid)
  await lab.release(idle)
  return (after - before) / 1024 / count
}

const idleCases = [idleCase('tcp'), idleCase('ws')]

const connectCase: BenchCase = {
  name: 'connect',
  title: 'new connections, each with a new identity, from dialling to identified, 8 at a time',
  groups: ['must', 'connections'],
  async run(lab) {
    const stage = await startStage(lab, { content: noContent })
    const runs = await inTurns(lab, 'connect', stage, (subject, round) =>
      connections(lab, subject, stage.subjects[0]!, round),
    )
    const figures = (['edge', 'direct', 'haproxy', 'other'] as const).flatMap((subject): Figure[] => {
      const own = runs.filter((run) => run.subject === subject && run.round > 0)
      if (own.length === 0) return []
      const values = own.map((run) => (run.cpuSeconds * 1000) / run.work)
      const title = `CPU per new connection, ${subject}`
      return [{ name: subject, title, unit: 'ms', values, disturbed: isDisturbed(own) }]
    })
    const faults = runs
      .filter((run) => run.subject === 'edge' && run.errors > 0)
      .map((run) => `${run.errors} connections failed`)
    return { unit: 'connections', runs, figures, series: [], faults, notes: [] }
  },
}

/** Returns what it was for a subject that clients came, were identified and went. */
export async function connections(lab: Lab, subject: Subject, backend: Subject, round: number): Promise<Run> {
  resetPeak(subject.pid)
  const { seconds } = lab
  const load = await lab.keep(startGoChurn({ ...dialling(subject), clients: 8, seconds, ...noContent }))
  const clock = new CpuClock({ ...partsOf(subject, backend), load: load.process.pid })
  const result = await load.result((seconds + 60) * 1000)
  const { byPart, strangers } = clock.read({ load: result.cpuSeconds })
  const peakBytes = memory(subject.pid, 'VmHWM')
  await lab.release(load)
  return {
    ...counted(result, 'connections'),
    subject: subject.kind,
    round,
    work: result.visits,
    errors: result.visitsFailed,
    p50Ms: result.connectP50ms,
    p99Ms: result.connectP99ms,
    cpuSeconds: byPart[subject.kind] ?? Number.NaN,
    peakBytes,
    cpuByPart: byPart,
    strangers,
  }
}

export const connectionCases = [...idleCases, connectCase]
