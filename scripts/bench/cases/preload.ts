/**
 * A browser has a file and asks by HTTP that it be kept: the blocks go from the browser to the backend, through the
 * edge. Directly, the backend fetches them from the browser by itself. The browser is a Go peer that dials.
 */
import { startGoServe } from '#test/support/go-peer.ts'
import type { BenchCase } from '../case.ts'
import { ratios } from '../case.ts'
import type { Lab } from '../lab.ts'
import { inTurns } from '../load-case.ts'
import { CpuClock, partsOf } from '../measure.ts'
import { memory, resetPeak } from '../proc.ts'
import type { Run } from '../results.ts'
import { type Subject, startStage } from '../subjects.ts'

const timeoutMs = 60_000

export const preloadCase: BenchCase = {
  name: 'preload',
  title: 'preload: refs?r=true of a file that one browser has',
  groups: [],
  async run(lab) {
    const stage = await startStage(lab, { content: {}, kinds: ['direct', 'edge'] })
    const bytes = (lab.options.quick ? 16 : 64) * 2 ** 20
    let fileSeed = 1
    const runs = await inTurns(lab, 'preload', stage, (subject, round) =>
      preload(lab, subject, stage.subjects[0]!, { round, bytes, fileSeed: fileSeed++ }),
    )
    return { unit: 'MiB', runs, figures: ratios(runs), series: [], faults: faultsOf(runs), notes: [] }
  },
}

function faultsOf(runs: readonly Run[]): string[] {
  return runs
    .filter(({ subject, lost }) => subject === 'edge' && lost > 0)
    .map(({ lost, round }) => `${lost} blocks were not preloaded, round ${round}`)
}

async function preload(
  lab: Lab,
  subject: Subject,
  backend: Subject,
  options: { round: number; bytes: number; fileSeed: number },
): Promise<Run> {
  const { round, bytes, fileSeed } = options
  const browser = await lab.keep(startGoServe({ fileBytes: bytes, fileSeed }))
  await call(`${browser.rpc}/api/v0/swarm/connect?arg=${subject.tcp}`)
  resetPeak(subject.pid)
  const clock = new CpuClock({ ...partsOf(subject, backend), browser: browser.process.pid })
  const beganMs = performance.now()
  const lines = await call(`${subject.web}/api/v0/refs?arg=${browser.root}&r=true`)
  const seconds = (performance.now() - beganMs) / 1000
  const { byPart, strangers } = clock.read()
  const peakBytes = memory(subject.pid, 'VmHWM')
  await lab.release(browser)
  const wanted = Math.ceil(bytes / (256 * 1024))
  const came = lines.trim().split('\n').length
  if (lines.includes('"Err":"') && !lines.includes('"Err":""')) throw new Error(`refs: ${lines.slice(-300)}`)
  return {
    subject: subject.kind,
    round,
    seconds,
    work: bytes / 2 ** 20,
    blocks: came,
    bytes,
    p50Ms: null,
    p99Ms: null,
    // Nodes between root and leaves are listed too.
    lost: Math.max(0, wanted - came),
    wrong: 0,
    errors: 0,
    cpuSeconds: byPart[subject.kind] ?? Number.NaN,
    peakBytes,
    cpuByPart: byPart,
    strangers,
  }
}

async function call(url: string): Promise<string> {
  const response = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(timeoutMs) })
  const text = await response.text()
  if (!response.ok)
    throw new Error(`${new URL(url).pathname} answered ${response.status}: ${text.slice(0, 200)}`)
  return text
}
