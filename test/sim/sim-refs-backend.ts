import type { KeepByRpc, RefsQuery } from '#src/relay/preload/refs.ts'
import type { Dag, Dags } from '#test/sim/dags.ts'
import { SimBackend, type SimBackendOptions } from '#test/sim/sim-backend.ts'
import { Session, SimFetcher } from '#test/sim/sim-fetcher.ts'
import { SimRefs } from '#test/sim/sim-refs.ts'
import type { World } from '#test/sim/world.ts'

/** How a backend does a refs; all left out: well. */
export interface RefsManner {
  /** `hangs`: takes it and does nothing; `refuses`: says at once that it failed. */
  refs?: 'hangs' | 'refuses' | undefined
  /** Fails after so many lines. */
  failsAfter?: number | undefined
  /** Takes so long to keep what it fetched, and fails to with this reason. */
  keep?: { readonly ms: number; readonly failure?: string }
}

/** A simulated Kubo: serves blocks, fetches them, and does refs by RPC. */
export class RefsNode {
  readonly world: World
  readonly dags: Dags
  readonly backend: SimBackend
  readonly fetcher: SimFetcher
  readonly manner: RefsManner
  /** Every refs that it was told to do, and those that it is doing. */
  readonly asked: SimRefs[] = []
  readonly running = new Set<SimRefs>()
  readonly #dagOf: (query: RefsQuery) => Dag
  /** The process runs. */
  alive = true

  constructor(
    name: string,
    dags: Dags,
    options: SimBackendOptions & { readonly refs?: RefsManner; readonly dagOf: (query: RefsQuery) => Dag },
  ) {
    this.world = options.world
    this.dags = dags
    this.manner = options.refs ?? {}
    this.#dagOf = options.dagOf
    this.fetcher = new SimFetcher(options.world, dags)
    const keep: KeepByRpc = (_root, done) => {
      let live = true
      this.world.after(this.manner.keep?.ms ?? 0, () => {
        if (live) done(this.manner.keep?.failure)
      })
      return () => {
        live = false
      }
    }
    this.backend = new SimBackend(name, {
      ...options,
      wanting: this.fetcher,
      rpc: {
        refs: (query, sink) => {
          const refs = new SimRefs(this, query, this.#dagOf(query), sink)
          this.asked.push(refs)
          this.running.add(refs)
          if (!this.alive) this.world.after(1, () => refs.lose())
          return refs
        },
        ...(this.manner.keep !== undefined && { keep }),
      },
    })
    this.fetcher.node = this.backend
  }

  whenAwake(run: () => void): void {
    this.backend.whenAwake(run)
  }

  /** Like SIGKILL: lanes and calls are cut. */
  kill(): void {
    this.alive = false
    this.fetcher.crash()
    this.backend.down()
    for (const refs of [...this.running]) this.world.after(1, () => refs.lose())
  }

  /** Starts again, with its blocks or without. */
  start(withBlocks: boolean): void {
    this.alive = true
    if (!withBlocks) for (const index of [...this.backend.has]) this.backend.remove(index)
    this.backend.up()
  }

  /** Whether it has everything that a query lists. */
  hasWhole(query: RefsQuery, dag: Dag): boolean {
    for (const index of this.dags.needed(query, dag)) if (!this.backend.has.has(index)) return false
    return true
  }

  /** Wants something of its own for a while: no client asked for that. */
  wonder(indices: readonly number[], forMs: number): void {
    const session = new Session()
    for (const index of indices) if (!this.backend.has.has(index)) this.fetcher.want(session, index, () => {})
    this.world.after(forMs, () => this.fetcher.end(session))
  }
}
