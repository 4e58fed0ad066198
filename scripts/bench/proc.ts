/**
 * What the kernel says of processes: CPU time, memory, threads, and how busy the machine is. Linux only; a bench
 * elsewhere says so when it starts.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** CPU seconds of one process so far, threads that have ended included, children not. */
export interface CpuTime {
  readonly user: number
  readonly system: number
}

/** USER_HZ: the unit of these files on every Linux there is. */
const ticksPerSecond = 100

/** Returns the CPU time of the text of a `/proc/…/stat`. */
export function parseCpuTime(stat: string): CpuTime {
  // The name may hold anything, spaces and parentheses included: fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { user: Number(fields[11]) / ticksPerSecond, system: Number(fields[12]) / ticksPerSecond }
}

/** Returns a field of the text of a `/proc/…/status` that is counted in kB, in bytes. */
export function parseMemory(status: string, field: 'VmHWM' | 'VmRSS'): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024
}

/** Returns the busy CPU seconds of the text of `/proc/stat`: all but idle and waiting, time stolen included. */
export function parseBusy(stat: string): number {
  const fields = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond
}

/** Returns the CPU time of a process; throws when it is gone. */
export function cpuTime(pid: number): CpuTime {
  return parseCpuTime(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

/** Returns user and system CPU seconds together. */
export function cpuSeconds(pid: number): number {
  const { user, system } = cpuTime(pid)
  return user + system
}

/** Returns what a process holds in memory now, or the most it has held since `resetPeak`. */
export function memory(pid: number, field: 'VmHWM' | 'VmRSS' = 'VmRSS'): number {
  return parseMemory(readFileSync(`/proc/${pid}/status`, 'utf8'), field)
}

/** Makes the peak of a process begin anew. Where the kernel forbids it, the peak is that since its start. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // A peak of the whole life is still a bound.
  }
}

/** Returns the busy CPU seconds of the whole machine since it started. */
export function machineBusySeconds(): number {
  return parseBusy(readFileSync('/proc/stat', 'utf8'))
}

/** Returns the CPU seconds of the threads of a process by name. */
export function threadCpuSeconds(pid: number): Map<string, number> {
  const byName = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      const { user, system } = parseCpuTime(stat)
      byName.set(name, (byName.get(name) ?? 0) + user + system)
    } catch {
      // It ended in between.
    }
  }
  return byName
}

/** Looks at the memory of a process again and again until `stop`, which returns [seconds, MiB] points. */
export function watchMemory(pid: number, everyMs = 250): { stop(): (readonly [number, number])[] } {
  const points: (readonly [number, number])[] = []
  const beganMs = performance.now()
  const look = (): void => {
    try {
      points.push([(performance.now() - beganMs) / 1000, memory(pid) / 2 ** 20])
    } catch {
      clearInterval(timer)
    }
  }
  const timer = setInterval(look, everyMs)
  look()
  return {
    stop() {
      look()
      clearInterval(timer)
      return points
    },
  }
}
