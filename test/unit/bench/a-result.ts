/** Results as benches have them, for tests. */
import type { CaseResult, Run } from '../../../scripts/bench/results.ts'

/** Returns a run of the edge in which nothing went wrong; what matters is given. */
export function aRun(what: Partial<Run> = {}): Run {
  return {
    subject: 'edge',
    round: 1,
    seconds: 2,
    work: 100,
    blocks: 400,
    bytes: 100 * 2 ** 20,
    p50Ms: 1,
    p99Ms: 9,
    lost: 0,
    wrong: 0,
    errors: 0,
    cpuSeconds: 1,
    peakBytes: 64 * 2 ** 20,
    cpuByPart: {},
    strangers: 0,
    ...what,
  }
}

/** Returns a case without any figure. */
export function aCase(what: Partial<CaseResult> = {}): CaseResult {
  return {
    name: '256k',
    title: 'some blocks',
    unit: 'MiB',
    runs: [],
    figures: [],
    series: [],
    faults: [],
    notes: [],
    ...what,
  }
}
