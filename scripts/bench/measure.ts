/**
 * One load on one subject, measured: what the load generator counted, and what the kernel says of the processes.
 * CPU time is read when all clients are connected and again when the last answer is in.
 */
import { type GoLoadOptions, type GoLoadResult, startGoLoad } from '#test/support/go-load.ts'
import type { Lab } from './lab.ts'
import { cpuSeconds, machineBusySeconds, memory, resetPeak } from './proc.ts'
import type { Run, Unit } from './results.ts'
import type { Subject } from './subjects.ts'

/** A load, whoever it is put on. */
export type Load = Omit<GoLoadOptions, 'peer'>

/** How a load is put on a subject. */
export interface MeasureOptions {
  readonly load: Load
  readonly unit: Unit
  readonly round: number
  readonly over?: 'tcp' | 'ws'
}

/** CPU time of some processes and of the machine, from a moment on. */
export class CpuClock {
  readonly #pids: Readonly<Record<string, number>>
  readonly #before: Readonly<Record<string, number>>
  readonly #busy = machineBusySeconds()
  readonly #ownBefore = cpuSeconds(process.pid)
  readonly #beganMs = performance.now()

  constructor(pids: Readonly<Record<string, number>>) {
    this.#pids = pids
    this.#before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)]))
  }

  /**
   * Returns the seconds by process since then, and how many cores others used. `ended` has the totals of
   * processes that may be gone by now, or that were not there yet.
   */
  read(ended: Readonly<Record<string, number>> = {}): { byPart: Record<string, number>; strangers: number } {
    const byPart: Record<string, number> = {}
    for (const name of new Set([...Object.keys(this.#pids), ...Object.keys(ended)])) {
      byPart[name] = (ended[name] ?? cpuSeconds(this.#pids[name]!)) - (this.#before[name] ?? 0)
    }
    const own = cpuSeconds(process.pid) - this.#ownBefore
    const ours = Object.values(byPart).reduce((sum, seconds) => sum + seconds, own)
    const passed = (performance.now() - this.#beganMs) / 1000
    return { byPart, strangers: Math.max(0, (machineBusySeconds() - this.#busy - ours) / passed) }
  }
}

/** Who takes part when a subject serves, by name. */
export function partsOf(subject: Subject, backend: Subject): Record<string, number> {
  return subject === backend ? { direct: backend.pid } : { [subject.kind]: subject.pid, backend: backend.pid }
}

/** How the clients of a subject dial it. */
export function dialling(
  subject: Subject,
  over: 'tcp' | 'ws' = 'tcp',
): Pick<GoLoadOptions, 'peer' | 'security' | 'program'> {
  const { security, program } = subject
  return { peer: subject[over], ...(security && { security }), ...(program && { program }) }
}

/** Puts a load on a subject and returns what came of it. */
export async function measure(
  lab: Lab,
  subject: Subject,
  backend: Subject,
  options: MeasureOptions,
): Promise<Run> {
  resetPeak(subject.pid)
  const load = await lab.keep(startGoLoad({ ...options.load, ...dialling(subject, options.over) }))
  const clock = new CpuClock({ ...partsOf(subject, backend), load: load.process.pid })
  const result = await load.result(((options.load.seconds ?? 0) + 120) * 1000)
  const { byPart, strangers } = clock.read({ load: result.cpuSeconds })
  const peakBytes = memory(subject.pid, 'VmHWM')
  await lab.release(load)
  return {
    ...counted(result, options.unit),
    subject: subject.kind,
    round: options.round,
    cpuSeconds: byPart[subject.kind] ?? Number.NaN,
    peakBytes,
    cpuByPart: byPart,
    strangers,
  }
}

/** Returns the part of a run that its load generator counted. */
export function counted(
  result: GoLoadResult,
  unit: Unit,
): Omit<Run, 'subject' | 'round' | 'cpuSeconds' | 'peakBytes' | 'cpuByPart' | 'strangers'> {
  const work = { MiB: result.bytes / 2 ** 20, denials: result.missingDenied }[unit as string] ?? result.blocks
  return {
    seconds: result.seconds,
    work,
    blocks: result.blocks,
    bytes: result.bytes,
    p50Ms: result.p50ms,
    p99Ms: result.p99ms,
    // A want for what nobody has is lost when not even DONT_HAVE comes.
    lost: result.lost + result.unfinished + result.missingAsked - result.missingDenied,
    wrong: result.wrong,
    errors: result.errors + result.disconnects,
  }
}
