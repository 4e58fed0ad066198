/** Cases that are one load, put on every subject in turns. */
import type { BenchCase } from './case.ts'
import { faultsOf, ratios } from './case.ts'
import type { Lab } from './lab.ts'
import { type Load, measure } from './measure.ts'
import type { Run, SubjectKind, Unit } from './results.ts'
import { type Stage, type StageOptions, startStage } from './subjects.ts'

export interface LoadCase extends Pick<BenchCase, 'name' | 'title' | 'groups'> {
  readonly unit: Unit
  readonly load: Omit<Load, 'seconds' | 'settle' | 'loop' | 'verify'>
  readonly over?: 'tcp' | 'ws'
  readonly env?: Readonly<Record<string, string>>
  readonly kinds?: readonly SubjectKind[]
  /** The backend has a gateway, and the edge is told of it. */
  readonly gateway?: boolean
}

/** A want that is not answered for so long is lost. */
const lostAfterMs = 15_000

/** Returns the case of a load. */
export function loadCase(spec: LoadCase): BenchCase {
  const { name, title, groups, unit } = spec
  return {
    name,
    title,
    groups,
    async run(lab) {
      const stage = await startStage(lab, stageOf(spec))
      const runs = await inTurns(lab, name, stage, (subject, round) =>
        measure(lab, subject, stage.subjects[0]!, {
          unit,
          round,
          load: loadOf(lab, spec, round),
          ...(spec.over && { over: spec.over }),
        }),
      )
      return { unit, runs, figures: ratios(runs), series: [], faults: faultsOf(runs), notes: [] }
    },
  }
}

/** Returns what the stage of a load needs. */
export function stageOf(spec: LoadCase): StageOptions {
  const { blocks, blockBytes } = spec.load
  return {
    content: { blocks, blockBytes, ...(spec.gateway === true && { gatewayPort: 0 }) },
    ...(spec.env && { env: spec.env }),
    ...(spec.kinds && { kinds: spec.kinds }),
  }
}

/**
 * Returns the load of one round. The first one checks the hash of every block; later ones, whose figures count,
 * check length and the first bytes, so that the generator takes less of the machine.
 */
export function loadOf(lab: Lab, spec: LoadCase, round: number): Load {
  const verify = round === 0 || lab.options.quick
  return { lostAfterMs, ...spec.load, seconds: lab.seconds, settle: true, loop: true, verify }
}

/** Runs something on every subject in turns, first once for warmth, then in as many rounds as are asked for. */
export async function inTurns(
  lab: Lab,
  name: string,
  stage: Pick<Stage, 'subjects'>,
  once: (subject: Stage['subjects'][number], round: number) => Promise<Run>,
): Promise<Run[]> {
  const runs: Run[] = []
  for (let round = 0; round <= lab.rounds; round++) {
    // Turned around every time: who comes second gets a warmer or a hotter machine.
    const order = round % 2 === 0 ? stage.subjects : [...stage.subjects].reverse()
    for (const subject of order) {
      // In a hurry only the edge is warmed up: what is compiled ahead needs it least.
      if (round === 0 && lab.options.quick && subject.kind !== 'edge') continue
      lab.progress(
        `${name}: ${subject.kind}, ${round === 0 ? 'warming up' : `round ${round} of ${lab.rounds}`}`,
      )
      runs.push(await once(subject, round))
    }
  }
  return runs
}
