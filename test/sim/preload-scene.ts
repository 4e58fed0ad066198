import type { Dag } from '#test/sim/dags.ts'
import { PreloadSim } from '#test/sim/preload-sim.ts'
import { range } from '#test/sim/seeds.ts'
import { browsers, type SimBrowser } from '#test/sim/sim-browser.ts'
import type { SimCall } from '#test/sim/sim-call.ts'
import type { RefsNode } from '#test/sim/sim-refs-backend.ts'

/** How scenarios of one browser and a pool in trouble begin. */

/** Where its browser is. */
export const home = '10.0.0.1'

/** A pool, and a browser with something to add. */
export interface Scene {
  readonly sim: PreloadSim
  readonly dag: Dag
  readonly browser: SimBrowser
}

/** Backends whose lanes are up, and a browser with something to add. */
export function begin(
  seed: number,
  nodes: number,
  preload: ConstructorParameters<typeof PreloadSim>[2] = {},
): Scene {
  const sim = new PreloadSim(seed, { cacheBytes: seed % 2 === 0 ? 0 : 2 ** 20 }, preload)
  for (const n of range(nodes)) sim.addNode(String.fromCharCode(97 + n))
  sim.world.pass(100)
  const dag = sim.dags.any(sim.world.integer(30, 80))
  const manners = [browsers.jsIpfs, browsers.oldJsIpfs, browsers.boxo, browsers.slow]
  const browser = sim.addBrowser(home, sim.world.pick(manners))
  browser.add(dag)
  browser.connect()
  return { sim, dag, browser }
}

/** The backend that works on a refs now. */
export function worker(sim: PreloadSim): RefsNode | undefined {
  return sim.nodes.find(({ running }) => running.size > 0)
}

/** Runs until the work has come so far: part of the DAG is on the backend that does it. */
export function untilHalf(sim: PreloadSim, dag: Dag): RefsNode {
  const half = (node: RefsNode): boolean =>
    [...dag.indices].filter((index) => node.backend.has.has(index)).length >= dag.indices.size / 2
  sim.world.run(60_000, () => sim.nodes.some((node) => node.running.size > 0 && half(node)))
  return worker(sim) ?? (sim.nodes[0] as RefsNode)
}

/** How many backends have all that a call is about. */
export function holders(sim: PreloadSim, call: SimCall): number {
  return sim.nodes.filter((node) => node.hasWhole(call.query, call.dag)).length
}
