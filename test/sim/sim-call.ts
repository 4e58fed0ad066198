import type { RefsCall, RefsEnd, RefsQuery, RefsRefusal } from '#src/relay/preload/refs.ts'
import type { Dag } from '#test/sim/dags.ts'
import type { PreloadSim } from '#test/sim/preload-sim.ts'

/** How a caller of refs behaves. */
export interface CallManner {
  readonly query?: Partial<RefsQuery>
  readonly timeoutMs?: number
  /** Goes away after so long, whatever came. */
  readonly abortAfterMs?: number
  /** Looks at what is new only after so long. */
  readonly readsAfterMs?: number
}

/** One caller of refs, as the HTTP side is one; notes whatever it is told that it may not be. */
export class SimCall {
  readonly dag: Dag
  readonly address: string
  readonly query: RefsQuery
  readonly startedMs: number
  readonly lines: string[] = []
  refusal: RefsRefusal | undefined
  end: RefsEnd | undefined
  endedMs: number | undefined
  aborted = false
  acceptedMs: number | undefined
  readonly #sim: PreloadSim
  readonly #manner: CallManner
  #call: RefsCall | undefined
  #looking = false

  constructor(sim: PreloadSim, address: string, dag: Dag, manner: CallManner = {}) {
    this.#sim = sim
    this.#manner = manner
    this.address = address
    this.dag = dag
    this.query = sim.dags.query(dag, manner.query)
    this.startedMs = sim.world.now()
    const { query, address: from } = this
    const call = sim.relay.refs.refs({ query, address: from, timeoutMs: manner.timeoutMs }, () =>
      this.#wake(),
    )
    if ('refused' in call) {
      this.refusal = call
      this.endedMs = this.startedMs
      return
    }
    this.#call = call
    this.#look()
    if (manner.abortAfterMs !== undefined) {
      sim.world.after(manner.abortAfterMs, () => {
        if (this.open) this.aborted = true
        this.#leave()
      })
    }
  }

  get open(): boolean {
    return this.endedMs === undefined
  }

  get readsSlowly(): boolean {
    return this.#manner.readsAfterMs !== undefined
  }

  get done(): boolean {
    return this.end?.kind === 'done'
  }

  /** How it ended, in one word. */
  get outcome(): string {
    if (this.refusal !== undefined) return `refused: ${this.refusal.refused}`
    if (this.aborted) return 'aborted'
    return this.end?.kind === 'failed' ? this.end.reason : (this.end?.kind ?? 'open')
  }

  #wake(): void {
    const { readsAfterMs } = this.#manner
    // The call may be at work still: HTTP looks at once, but not before it has the call.
    if (this.#call === undefined || this.#looking) return
    if (readsAfterMs === undefined) return this.#look()
    this.#looking = true
    this.#sim.world.after(readsAfterMs, () => {
      this.#looking = false
      this.#look()
    })
  }

  #look(): void {
    const call = this.#call
    if (call === undefined || !this.open) return
    const { verdicts, world } = this.#sim
    if (call.accepted && this.acceptedMs === undefined) {
      this.acceptedMs = world.now()
      if (!this.#sim.somebodySpoke(this)) verdicts.fail('2xx before a backend said anything')
    }
    const lines = call.read().map((line) => new TextDecoder().decode(line))
    if (lines.length > 0 && !call.accepted) verdicts.fail('lines before 2xx')
    this.lines.push(...lines)
    const { end } = call
    if (end === undefined) return
    this.end = end
    if (end.kind === 'done' && !call.accepted) verdicts.fail('done without 2xx')
    this.#leave()
    if (call.end?.kind !== end.kind) verdicts.fail('the end of a call changed')
    this.#sim.judge(this)
  }

  #leave(): void {
    if (!this.open) return
    this.endedMs = this.#sim.world.now()
    this.#call?.leave()
    this.#call?.leave()
  }
}
