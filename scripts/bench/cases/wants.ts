/** Wants of other kinds: all for the same, all for nothing, and those that a backend has and nobody may answer. */

import { startGoWant } from '#test/support/go-load.ts'
import { startGoServe } from '#test/support/go-peer.ts'
import type { BenchCase } from '../case.ts'
import { ratios } from '../case.ts'
import { startEdge } from '../edge.ts'
import type { Lab } from '../lab.ts'
import type { LoadCase } from '../load-case.ts'
import { CpuClock } from '../measure.ts'
import { memory } from '../proc.ts'
import type { Run } from '../results.ts'

export const hotLoad: LoadCase = {
  name: 'hot',
  title: '500 blocks of 256 KiB wanted by all of 64 clients × 16 wants, default cache',
  groups: ['must', 'cache', 'ci'],
  unit: 'MiB',
  load: { blocks: 500, blockBytes: 256 * 1024, clients: 64, wants: 16, shared: true, sendDontHave: true },
}

export const missLoad: LoadCase = {
  name: 'misses',
  title: 'wants for what nobody has, answered by DONT_HAVE, 8 clients × 64 wants',
  groups: ['wants', 'ci'],
  unit: 'denials',
  env: { KITSUNE_MISS: 'dont-have' },
  load: { blocks: 0, blockBytes: 1024, clients: 8, wants: 64, missing: -1, sendDontHave: true },
}

/** Lanes that a backend broadcasts to. */
const lanes = 4

/**
 * A backend tells all its peers what its own users want, the edge among them, on every lane. Without a grant that is
 * to cost next to nothing. Directly, it tells another backend.
 */
export const uncoveredCase: BenchCase = {
  name: 'broadcast',
  title: `broadcast wants of a backend that no grant covers, on ${lanes} lanes`,
  groups: ['wants'],
  async run(lab) {
    const runs: Run[] = []
    for (let round = 1; round <= lab.rounds; round++) {
      for (const subject of ['direct', 'edge'] as const) {
        lab.progress(`broadcast: ${subject}, round ${round} of ${lab.rounds}`)
        runs.push(await broadcast(lab, subject, round))
        await lab.clear()
      }
    }
    const faults = runs
      .filter((run) => run.errors > 0)
      .map((run) => `the ${run.subject} broke off the broadcast`)
    return { unit: 'wants', runs, figures: ratios(runs), series: [], faults, notes: [] }
  },
}

async function broadcast(lab: Lab, subject: 'direct' | 'edge', round: number): Promise<Run> {
  const warmSeconds = lab.seconds / 2
  const seconds = lab.seconds + warmSeconds
  const { asking, pid } = await startBroadcast(lab, subject, seconds)
  const before = await asking.asked(warmSeconds, 30_000)
  const clock = new CpuClock({ [subject]: pid, load: asking.process.pid })
  const result = await asking.result(30_000)
  const { byPart, strangers } = clock.read({ load: result.cpuSeconds })
  return {
    subject,
    round,
    seconds: result.seconds - warmSeconds,
    work: result.wants - before,
    blocks: 0,
    bytes: 0,
    p50Ms: null,
    p99Ms: null,
    lost: 0,
    wrong: 0,
    errors: result.firstError === null ? 0 : 1,
    cpuSeconds: byPart[subject] ?? Number.NaN,
    peakBytes: memory(pid, 'VmHWM'),
    cpuByPart: byPart,
    strangers,
  }
}

async function startBroadcast(lab: Lab, subject: 'direct' | 'edge', seconds: number) {
  if (subject === 'direct') {
    const backend = await lab.keep(startGoServe())
    const asking = await lab.keep(startGoWant({ peer: backend.addr, seconds }))
    return { asking, pid: backend.process.pid }
  }
  const asking = await lab.keep(startGoWant({ connections: lanes, seconds }))
  const env = { KITSUNE_LANES: String(lanes) }
  const edge = await lab.keep(startEdge(lab, { backends: [asking.addr ?? ''], env, alone: true }))
  return { asking, pid: edge.pid }
}
