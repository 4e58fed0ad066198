import type { RefsQuery } from '#src/relay/preload/refs.ts'
import type { RelayOptions } from '#src/relay/relay.ts'
import type { Content } from '#test/sim/content.ts'
import { type Dag, Dags, toyLinksOf } from '#test/sim/dags.ts'
import type { SimBackendOptions } from '#test/sim/sim-backend.ts'
import { type BrowserManner, SimBrowser } from '#test/sim/sim-browser.ts'
import { type CallManner, SimCall } from '#test/sim/sim-call.ts'
import { type RefsManner, RefsNode } from '#test/sim/sim-refs-backend.ts'
import { defaultOptions, Simulation } from '#test/sim/simulation.ts'
import type { Verdicts } from '#test/sim/verdicts.ts'
import type { World } from '#test/sim/world.ts'

/** How long after a call a want for it may still be on its way to a browser. */
const lateMs = 500

/**
 * A relay between browsers that add things and backends that fetch them. What must hold at all times is checked as it
 * happens: no browser is asked for what its address has not granted, no caller hears of a success that is none, no
 * call goes on for long without anything coming of it.
 */
export class PreloadSim {
  readonly sim: Simulation
  readonly world: World
  readonly verdicts: Verdicts
  readonly dags: Dags
  readonly nodes: RefsNode[] = []
  readonly browsers: SimBrowser[] = []
  readonly calls: SimCall[] = []
  /** Right blocks that came from browsers, and those of them that had come before. */
  blocksIn = 0
  duplicates = 0
  mostBackWants = 0
  readonly options: RelayOptions
  readonly #byArg = new Map<string, Dag>()
  readonly #cameAt = new Map<number, number>()
  readonly #byAddress = new Map<string, Set<SimBrowser>>()
  readonly #granted = new Map<string, SimCall[]>()

  constructor(
    seed: number,
    options: Partial<RelayOptions> = {},
    preload: Partial<RelayOptions['preload']> = {},
  ) {
    let dags: Dags | undefined
    this.options = { ...defaultOptions, ...options, preload: { ...defaultOptions.preload, ...preload } }
    this.sim = new Simulation(
      seed,
      (world) => {
        dags = new Dags(world)
        return dags.content
      },
      this.options,
      {
        linksOf: toyLinksOf,
        reach: (address) => {
          for (const browser of this.#byAddress.get(address) ?? []) browser.reach()
        },
      },
    )
    this.dags = dags as unknown as Dags
    this.world = this.sim.world
    this.verdicts = this.sim.verdicts
    this.world.every(500, () => this.#watch())
  }

  get relay(): Simulation['relay'] {
    return this.sim.relay
  }

  get content(): Content {
    return this.sim.content
  }

  addNode(
    name: string,
    options: Partial<Pick<SimBackendOptions, 'manner' | 'latencyMs' | 'withRpc'>> & {
      refs?: RefsManner
    } = {},
  ): RefsNode {
    const { world, relay, content, verdicts } = this.sim
    const dagOf = (query: RefsQuery): Dag => this.#byArg.get(query.arg) as Dag
    const node = new RefsNode(name, this.dags, { world, relay, content, verdicts, dagOf, ...options })
    this.nodes.push(node)
    this.sim.backends.push(node.backend)
    node.backend.up()
    return node
  }

  addBrowser(address: string, manner: BrowserManner): SimBrowser {
    const browser = new SimBrowser(this, address, manner)
    this.browsers.push(browser)
    const there = this.#byAddress.get(address) ?? new Set()
    this.#byAddress.set(address, there.add(browser))
    return browser
  }

  call(address: string, dag: Dag, manner: CallManner = {}): SimCall {
    this.#byArg.set(this.dags.query(dag).arg, dag)
    const call = new SimCall(this, address, dag, manner)
    this.calls.push(call)
    const granted = this.#granted.get(address) ?? []
    granted.push(call)
    this.#granted.set(address, granted)
    return call
  }

  /** A browser was asked for a block: some call from its address must cover it. */
  mayAsk(browser: SimBrowser, index: number): void {
    const nowMs = this.world.now()
    const copies = this.options.preload.replicas > 1
    for (const call of this.#granted.get(browser.address) ?? []) {
      if (call.refusal !== undefined || !call.dag.indices.has(index)) continue
      if (call.open || copies || nowMs - (call.endedMs ?? 0) < lateMs) return
    }
    this.verdicts.fail('a browser was asked for a block that no call of its address covers')
  }

  /** A browser's block came to the relay. */
  brought(browser: SimBrowser, data: Uint8Array): void {
    const block = this.content.withBytes(data)
    if (block === undefined || browser.has.has(block.index) === false) return
    this.blocksIn++
    this.sim.brought.add(block.index)
    if (this.#cameAt.has(block.index)) this.duplicates++
    this.#cameAt.set(block.index, this.world.now())
  }

  /** Whether a backend that works for a call has said anything yet. */
  somebodySpoke(call: SimCall): boolean {
    return this.#works(call).some((refs) => refs.spokeMs !== undefined || refs.result?.kind === 'done')
  }

  /** A call has ended: was it told the truth? */
  judge(call: SimCall): void {
    const { query, dag, lines, end } = call
    const listing = this.dags.listed(query, dag)
    const wrongAt = lines.findIndex((line, at) => line !== this.dags.line(listing[at] ?? -1))
    if (wrongAt >= 0) this.verdicts.fail(`line ${wrongAt} of a call is wrong`)
    if (end?.kind !== 'done') return
    if (lines.length !== listing.length)
      this.verdicts.fail(`done with ${lines.length} of ${listing.length} lines`)
    if (!this.#works(call).some((refs) => refs.result?.kind === 'done' && refs.whole)) {
      this.verdicts.fail('done, but no backend has everything')
    }
  }

  /** Runs until no call is open; fails after `limitMs`. */
  finish(limitMs = 600_000): void {
    if (this.world.run(limitMs, () => this.calls.every((call) => !call.open))) return
    this.verdicts.fail(`calls still open: ${this.calls.filter((call) => call.open).length}`)
  }

  /** Everyone leaves; then nothing may be left. Returns what is wrong, nothing when all is well. */
  close(): string[] {
    for (const node of this.nodes) node.backend.wake()
    this.world.run(this.options.preload.ageMs, () => this.relay.gauges.grants === 0)
    const { refs, grants, grantedBlocks, pulls } = this.relay.gauges
    this.nothing('calls', { refs, grants, grantedBlocks, pulls })
    this.world.pass(2_000)
    const remembered = this.browsers.reduce((sum, browser) => sum + browser.remembered, 0)
    this.nothing('browsers', { remembered })
    for (const browser of this.browsers) browser.disconnect()
    for (const node of this.nodes) node.start(true)
    const failures = this.sim.close()
    const { supplyBytes } = this.relay.gauges
    let pulled = 0
    for (const { index } of this.content.blocks) {
      const cid = this.dags.cid(index)
      const key = String.fromCharCode(...cid.subarray(cid.length - 34))
      for (const { backend } of this.nodes) {
        if (backend.relayed.wants.find(key as never)?.pull !== undefined) pulled++
      }
    }
    this.nothing('end', { supplyBytes, pulled, ...this.relay.leftovers })
    return failures
  }

  nothing(what: string, left: Record<string, number>): void {
    for (const [name, value] of Object.entries(left)) {
      if (value !== 0) this.verdicts.fail(`left over: ${what}: ${name} = ${value}`)
    }
  }

  /** What backends did for a call: since it began, or joined. */
  #works(call: SimCall): RefsNode['asked'] {
    const { query, startedMs } = call
    const same = (other: RefsQuery): boolean => JSON.stringify(other) === JSON.stringify(query)
    return this.nodes
      .flatMap((node) => node.asked)
      .filter((refs) => same(refs.query) && (refs.endedMs ?? startedMs) >= startedMs)
  }

  /** Whether somebody who shares its work is slow to read. */
  #isHeldUp({ query }: SimCall): boolean {
    const same = JSON.stringify(query)
    return this.calls.some((call) => call.readsSlowly && JSON.stringify(call.query) === same)
  }

  /** No call goes on without anything coming of it for longer than it may. */
  #watch(): void {
    const nowMs = this.world.now()
    for (const node of this.nodes)
      this.mostBackWants = Math.max(this.mostBackWants, node.backend.relayed.wants.size)
    const allowedMs = this.options.preload.waitMs + 2_000
    for (const call of this.calls) {
      if (!call.open || this.#isHeldUp(call) || nowMs - call.startedMs < allowedMs) continue
      let lastMs = call.startedMs
      for (const index of call.dag.indices) lastMs = Math.max(lastMs, this.#cameAt.get(index) ?? 0)
      for (const { fetcher } of this.nodes) {
        lastMs = Math.max(lastMs, fetcher.cameMs, fetcher.wantedMs.get(call.dag.root.index) ?? 0)
      }
      for (const refs of this.#works(call)) lastMs = Math.max(lastMs, refs.startedMs, refs.spokeMs ?? 0)
      if (nowMs - lastMs > allowedMs)
        this.verdicts.fail(`a call goes on ${nowMs - lastMs} ms after its last progress`)
    }
  }
}
