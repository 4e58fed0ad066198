/** How long the executable takes from being started to listening. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchCase } from '../case.ts'
import { startEdge } from '../edge.ts'
import { CpuClock } from '../measure.ts'
import { cpuSeconds, memory } from '../proc.ts'
import { tolerableStrangers } from '../results.ts'

/** Nobody is there: an edge listens whether or not it has backends. */
const nobody = ['http://127.0.0.1:9']

export const startCase: BenchCase = {
  name: 'start',
  title: 'from starting the executable to listening',
  groups: ['must'],
  async run(lab) {
    const dataDir = await mkdtemp(join(tmpdir(), 'kitsune-bench-start-'))
    const times: number[] = []
    const cpu: number[] = []
    const resident: number[] = []
    let disturbed = false
    try {
      // The first start makes the keys and brings the executable into the page cache: it does not count.
      for (let i = 0; i <= (lab.options.quick ? 3 : 10); i++) {
        lab.progress(`start: number ${i + 1}`)
        const clock = new CpuClock({})
        const edge = await lab.keep(startEdge(lab, { backends: nobody, env: {}, dataDir, alone: true }))
        const used = [cpuSeconds(edge.pid) * 1000, memory(edge.pid) / 2 ** 20] as const
        const { strangers } = clock.read({ edge: used[0] / 1000 })
        await lab.release(edge)
        if (i === 0) continue
        disturbed ||= strangers > tolerableStrangers
        times.push(edge.startMs)
        cpu.push(used[0])
        resident.push(used[1])
      }
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
    return {
      unit: 'connections',
      runs: [],
      figures: [
        { name: 'listening', title: 'start to listening', unit: 'ms', values: times, disturbed },
        { name: 'cpu', title: 'CPU until then', unit: 'ms', values: cpu, disturbed },
        { name: 'memory', title: 'memory then', unit: 'MiB', values: resident, disturbed },
      ],
      series: [],
      faults: [],
      notes: [],
    }
  },
}
