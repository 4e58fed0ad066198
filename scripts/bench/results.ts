/**
 * What a bench finds, as shapes: runs of one subject, the case that they belong to, figures drawn from them.
 * This is also what `--json` writes.
 */

/** Who serves: the backend itself, the edge in front of it (`tcp`: by that door, beside another), or another proxy there. */
export type SubjectKind = 'direct' | 'edge' | 'tcp' | 'haproxy' | 'other'

/** What is counted as work. */
export type Unit = 'MiB' | 'blocks' | 'denials' | 'wants' | 'connections'

/** One load against one subject. */
export interface Run {
  readonly subject: SubjectKind
  /** 0 is the first load after the subject's start: it is in no median. */
  readonly round: number
  readonly seconds: number
  /** In the unit of its case. */
  readonly work: number
  readonly blocks: number
  readonly bytes: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly lost: number
  readonly wrong: number
  readonly errors: number
  /** Of the process under test alone, user and system. */
  readonly cpuSeconds: number
  /** The most that it held in memory during this run. */
  readonly peakBytes: number
  /** CPU seconds of all parts in this run. */
  readonly cpuByPart: Readonly<Record<string, number>>
  /** Cores used by processes that are no part of the bench. */
  readonly strangers: number
}

/** A number found several times. */
export interface Figure {
  /** Within its case. */
  readonly name: string
  readonly title: string
  readonly unit: '' | 'ms' | 'KiB' | 'MiB' | 'MiB/h'
  readonly values: readonly number[]
  /** Others used the machine meanwhile. */
  readonly disturbed: boolean
}

/** A line of a plot. */
export interface Series {
  readonly plot: 'latency' | 'memory'
  readonly subject: SubjectKind
  readonly label: string
  readonly xUnit: string
  readonly yUnit: string
  readonly points: readonly (readonly [number, number])[]
}

/** What one case came to. */
export interface CaseResult {
  readonly name: string
  readonly title: string
  readonly unit: Unit
  readonly runs: readonly Run[]
  readonly figures: readonly Figure[]
  readonly series: readonly Series[]
  /** Lost wants, wrong bytes, a subject that died: these make the bench fail. */
  readonly faults: readonly string[]
  /** What a reader should know. */
  readonly notes: readonly string[]
}

/** A room of the edge and its share of a CPU profile. */
export interface RoomShare {
  readonly room: string
  readonly selfMs: number
  readonly share: number
  /** The functions that cost most in it. */
  readonly top: readonly { readonly name: string; readonly share: number }[]
}

/** Where the edge's CPU time goes in one case. */
export interface ProfileResult {
  readonly name: string
  readonly rooms: readonly RoomShare[]
  readonly userSeconds: number
  readonly systemSeconds: number
  /** CPU seconds by thread, as the kernel names them. */
  readonly threads: readonly { readonly name: string; readonly cpuSeconds: number }[]
  readonly file: string
}

/** A whole bench. */
export interface BenchResult {
  readonly startedAt: string
  readonly machine: string
  readonly quick: boolean
  readonly cases: readonly CaseResult[]
  readonly profiles: readonly ProfileResult[]
}

/** Cores of strangers beyond which a run is not to be trusted. */
export const tolerableStrangers = 0.15

/** Returns whether others used the machine during any of these. */
export function isDisturbed(runs: readonly Run[]): boolean {
  return runs.some((run) => run.strangers > tolerableStrangers)
}
