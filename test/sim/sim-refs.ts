import type { RefsQuery, RefsResult, RefsSink, RefsWork } from '#src/relay/preload/refs.ts'
import type { Dag, Dags } from '#test/sim/dags.ts'
import { Session } from '#test/sim/sim-fetcher.ts'
import type { RefsNode } from '#test/sim/sim-refs-backend.ts'

/**
 * One refs at a simulated Kubo: walks the DAG depth first, asks for all children of a block at once, and writes a line
 * for each block once it is there.
 */
export class SimRefs implements RefsWork {
  readonly query: RefsQuery
  readonly startedMs: number
  /** When it first said a line, and how and when it ended; both undefined until then. */
  spokeMs: number | undefined
  endedMs: number | undefined
  result: RefsResult | undefined
  /** What it needs was all there when it ended. */
  whole = false
  lines = 0
  readonly #node: RefsNode
  readonly #dags: Dags
  readonly #dag: Dag
  readonly #sink: RefsSink
  readonly #session = new Session()
  readonly #seen = new Set<number>()
  readonly #frames: { children: readonly number[]; at: number }[] = []
  #paused = false
  #over = false

  constructor(node: RefsNode, query: RefsQuery, dag: Dag, sink: RefsSink) {
    this.#node = node
    this.#dags = node.dags
    this.#dag = dag
    this.query = query
    this.#sink = sink
    this.startedMs = node.world.now()
    node.whenAwake(() => node.world.after(node.backend.latencyMs(), () => this.#begin()))
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#node.world.after(1, () => this.#walk())
  }

  abort(): void {
    if (this.#over) return
    this.#close()
  }

  /** The process is killed: whoever listens hears of it. */
  lose(): void {
    this.#end({ kind: 'lost', reason: 'connection reset' })
  }

  #begin(): void {
    if (this.#over) return
    const { manner } = this.#node
    if (manner.refs === 'hangs') return
    if (manner.refs === 'refuses') return this.#end({ kind: 'failed', message: 'datastore is read-only' })
    this.#fetch([this.#dag.root.index], () => {
      this.#enter(this.#dag.root.index)
      this.#walk()
    })
  }

  /** Fetches what is missing of some blocks; `then` is called once all of them are there, or at each that came. */
  #fetch(indices: readonly number[], then: () => void): void {
    const missing = indices.filter((index) => !this.#node.backend.has.has(index))
    if (missing.length === 0) this.#node.world.after(1, () => !this.#over && then())
    for (const index of missing) {
      this.#node.fetcher.want(this.#session, index, () => {
        if (!this.#over) then()
      })
    }
  }

  #enter(index: number): void {
    const children = this.#dags.linksOf(index)
    this.#frames.push({ children, at: 0 })
    if (children.length > 0) this.#fetch([...new Set(children)], () => this.#walk())
  }

  #walk(): void {
    const lines: Uint8Array[] = []
    while (!this.#paused && !this.#over) {
      const frame = this.#frames.at(-1)
      if (frame === undefined) break
      const child = frame.children[frame.at]
      if (child === undefined) {
        this.#frames.pop()
        continue
      }
      const { recursive, unique, maxDepth } = this.query
      const skip = unique && this.#seen.has(child)
      if (!skip && !this.#node.backend.has.has(child)) break
      frame.at++
      if (skip) continue
      this.#seen.add(child)
      lines.push(new TextEncoder().encode(this.#dags.line(child)))
      if (recursive && (maxDepth < 0 || this.#frames.length < maxDepth)) this.#enter(child)
      const { failsAfter } = this.#node.manner
      if (failsAfter !== undefined && this.lines + lines.length >= failsAfter) {
        this.#say(lines)
        return this.#end({ kind: 'failed', message: 'input/output trouble' })
      }
      if (lines.length >= 64) this.#say(lines.splice(0))
    }
    if (lines.length > 0) this.#say(lines)
    if (this.#frames.length === 0 && !this.#over && !this.#paused) this.#end({ kind: 'done' })
  }

  #say(lines: readonly Uint8Array[]): void {
    if (this.#over) return
    this.spokeMs ??= this.#node.world.now()
    this.lines += lines.length
    if (!this.#sink.lines(lines)) this.#paused = true
  }

  #end(result: RefsResult): void {
    if (this.#over) return
    this.#close()
    this.result = result
    this.whole = [...this.#node.dags.needed(this.query, this.#dag)].every((index) =>
      this.#node.backend.has.has(index),
    )
    if (result.kind === 'done' && !this.whole) this.#node.backend.verdicts.fail('a simulated refs is wrong')
    this.#sink.ended(result)
  }

  #close(): void {
    this.#over = true
    this.endedMs = this.#node.world.now()
    this.#node.fetcher.end(this.#session)
    this.#node.running.delete(this)
  }
}
