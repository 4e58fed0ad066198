import type { Dag } from '#test/sim/dags.ts'
import { PreloadSim } from '#test/sim/preload-sim.ts'
import { expectThat, range } from '#test/sim/seeds.ts'
import { type BrowserManner, browsers, type SimBrowser } from '#test/sim/sim-browser.ts'
import type { SimCall } from '#test/sim/sim-call.ts'
import type { RefsNode } from '#test/sim/sim-refs-backend.ts'

/** What goes wrong in a run. */
export interface PreloadChaosOptions {
  readonly browsers?: number
  readonly addresses?: number
  readonly nodes?: number
  /** Over how long browsers come. */
  readonly overMs?: number
  readonly mostBlocks?: number
  /** Browsers drop their connections and return, or do not. */
  readonly fickle?: boolean
  /** Callers go away, have a time limit, or read slowly. */
  readonly impatient?: boolean
  /** Backends are killed and start again, with their blocks or without. */
  readonly kills?: boolean
  /** Lanes drop, backends stall. */
  readonly stalls?: boolean
  /** Backends that take a refs and do nothing, fail it at once, or after some lines. */
  readonly ill?: boolean
  /** Browsers that lie or are silent, at addresses of honest ones. */
  readonly hostile?: boolean
  readonly replicas?: number
  /** Others retrieve what is there. */
  readonly clients?: number
}

const honest = [
  browsers.jsIpfs,
  browsers.jsIpfs,
  browsers.oldJsIpfs,
  browsers.oldest,
  browsers.boxo,
  browsers.slow,
]
const hostile = [browsers.liar, browsers.silent, { ...browsers.jsIpfs, wrongBytes: 0.3 }] as const

/** A browser and what it adds. */
interface Page {
  readonly browser: SimBrowser
  readonly dag: Dag
  readonly calls: SimCall[]
}

/**
 * Runs pages that come, add something, call, vanish and return, against backends in trouble; then all is well again,
 * every page returns and calls once more. Returns what should not have been seen.
 */
export function runPreloadChaos(seed: number, options: PreloadChaosOptions): string[] {
  const { browsers: count = 30, nodes = 3, overMs = 60_000, replicas = 1 } = options
  const sim = new PreloadSim(
    seed,
    { cacheBytes: seed % 2 === 0 ? 0 : 2 ** 20, lanes: 1 + (seed % 4) },
    { replicas, waitMs: 20_000 },
  )
  const { world } = sim
  for (const n of range(nodes)) {
    sim.addNode(String.fromCharCode(97 + n), {
      latencyMs: () => (world.chance(0.02) ? 400 : 20) * world.random(),
    })
  }
  const pages = range(count).map(() => page(sim, options))
  let calm = false
  const unlessCalm = (everyMs: number, run: () => void): void =>
    world.every(everyMs, () => {
      if (!calm) run()
    })
  for (const each of pages) world.after(world.integer(0, overMs), () => come(sim, each, options, () => calm))
  unlessCalm(200, () => {
    const node = world.pick(sim.nodes)
    if (node.alive)
      node.wonder(
        range(5).map(() => world.pick(sim.content.blocks).index),
        world.integer(100, 5_000),
      )
  })
  if (options.kills) unlessCalm(6_000, () => kill(sim, world.pick(sim.nodes)))
  if (options.stalls) unlessCalm(1_000, () => stall(sim, world.pick(sim.nodes)))
  if (options.ill) unlessCalm(1_000, () => change(sim, world.pick(sim.nodes)))
  world.pass(overMs + 10_000)
  calm = true
  for (const node of sim.nodes) {
    node.manner.refs = undefined
    node.manner.failsAfter = undefined
    node.backend.wake()
    node.start(true)
  }
  // Whoever stalled or was lost is ready again by then.
  world.pass(30_000)
  for (const { browser } of pages) browser.connect()
  sim.finish()
  const before = new Map<string, number>()
  for (const call of sim.calls) before.set(call.outcome, (before.get(call.outcome) ?? 0) + 1)
  const last = pages.map(({ browser, dag }) => ({ browser, call: sim.call(browser.address, dag) }))
  retrieve(sim, pages, options.clients ?? 0)
  sim.finish()
  sim.sim.finish(200_000)
  const failed = last.filter(({ call }) => !call.done)
  return [
    ...expectThat((before.get('done') ?? 0) > 0, `some calls end well in the trouble: ${[...before]}`),
    ...expectThat(
      failed.length === 0,
      `all end well in the end, not ${failed.map(({ call }) => call.outcome)}`,
    ),
    ...expectThat(sim.mostBackWants < 20_000, `wants of backends are bounded: ${sim.mostBackWants}`),
    ...sim.close(),
  ]
}

function page(sim: PreloadSim, options: PreloadChaosOptions): Page {
  const { world, dags } = sim
  const { browsers: count = 30, addresses = Math.ceil(count / 2), mostBlocks = 40 } = options
  const address = `10.0.${world.integer(0, addresses - 1)}.1`
  const browser = sim.addBrowser(address, world.pick<BrowserManner>(honest))
  const known = sim.content.blocks.length > 10 ? range(3).map(() => world.pick(sim.content.blocks)) : []
  const dag = dags.any(world.integer(1, mostBlocks), known)
  browser.add(dag)
  if (options.hostile && world.chance(0.2)) {
    const other = sim.addBrowser(address, world.pick<BrowserManner>(hostile))
    other.add(dag)
    world.after(world.integer(0, 30_000), () => other.connect())
  }
  return { browser, dag, calls: [] }
}

/** A page opens: it adds, calls and connects, in any order; and may be gone before anything comes of it. */
function come(
  sim: PreloadSim,
  { browser, dag, calls }: Page,
  options: PreloadChaosOptions,
  calm: () => boolean,
): void {
  const { world } = sim
  world.after(world.chance(0.5) ? 0 : world.integer(300, 8_000), () => browser.connect())
  const impatient = options.impatient === true
  const call = (): void => {
    calls.push(
      sim.call(browser.address, dag, {
        query: { unique: world.chance(0.3) },
        ...(impatient && world.chance(0.2) && { abortAfterMs: world.integer(10, 5_000) }),
        ...(impatient && world.chance(0.2) && { timeoutMs: world.integer(100, 10_000) }),
        ...(impatient && world.chance(0.2) && { readsAfterMs: world.integer(10, 3_000) }),
      }),
    )
  }
  call()
  if (world.chance(0.2)) world.after(world.integer(0, 500), call)
  if (!options.fickle) return
  world.after(world.integer(50, 5_000), () => {
    if (calm() || world.chance(0.4)) return
    browser.disconnect()
    if (world.chance(0.7)) world.after(world.integer(100, 25_000), () => browser.connect())
    if (world.chance(0.5)) world.after(world.integer(100, 25_000), call)
  })
}

function kill({ world }: PreloadSim, node: RefsNode): void {
  if (!node.alive) return
  node.kill()
  const withBlocks = world.chance(0.7)
  world.after(world.integer(500, 8_000), () => !node.alive && node.start(withBlocks))
}

function stall({ world }: PreloadSim, node: RefsNode): void {
  if (!node.alive) return
  const { backend } = node
  if (world.chance(0.7)) {
    const { slot } = world.pick(backend.relayed.lanes)
    backend.downLane(slot)
    world.after(world.integer(1, 2_000), () => node.alive && backend.upLane(slot))
    return
  }
  backend.stall()
  world.after(world.integer(1, 8_000), () => backend.wake())
}

function change({ world }: PreloadSim, { manner }: RefsNode): void {
  manner.refs = world.pick([undefined, undefined, 'hangs', 'refuses'] as const)
  manner.failsAfter = world.chance(0.2) ? world.integer(1, 5) : undefined
}

function retrieve(sim: PreloadSim, pages: readonly Page[], count: number): void {
  const forms = ['v0', 'v1-raw', 'v1-dag-cbor'] as const
  for (const n of range(count)) {
    const { dag } = sim.world.pick(pages)
    const helia = n % 2 === 0
    sim.sim.addClient(
      { version: '1.2', sendDontHave: helia, haveFirst: helia, cancels: 1, window: 32, perMessage: 8, forms },
      [...dag.indices],
    )
  }
}
