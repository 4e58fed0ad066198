import type { Dag } from '#test/sim/dags.ts'
import { PreloadSim } from '#test/sim/preload-sim.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { browsers, type SimBrowser } from '#test/sim/sim-browser.ts'
import type { SimCall } from '#test/sim/sim-call.ts'
import type { RefsNode } from '#test/sim/sim-refs-backend.ts'

/** What browsers add, onto backends that die, hang, fail, or have a part of it already. */

const home = '10.0.0.1'

interface Scene {
  readonly sim: PreloadSim
  readonly dag: Dag
  readonly browser: SimBrowser
}

/** Backends whose lanes are up, and a browser with something to add. */
function begin(
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
function worker(sim: PreloadSim): RefsNode | undefined {
  return sim.nodes.find(({ running }) => running.size > 0)
}

/** Runs until the work has come so far: part of the DAG is on the backend that does it. */
function untilHalf(sim: PreloadSim, dag: Dag): RefsNode {
  const half = (node: RefsNode): boolean =>
    [...dag.indices].filter((index) => node.backend.has.has(index)).length >= dag.indices.size / 2
  sim.world.run(60_000, () => sim.nodes.some((node) => node.running.size > 0 && half(node)))
  return worker(sim) ?? (sim.nodes[0] as RefsNode)
}

function holders(sim: PreloadSim, call: SimCall): number {
  return sim.nodes.filter((node) => node.hasWhole(call.query, call.dag)).length
}

scenario('a backend is killed in the middle: another takes over, and no line comes twice', 8, (seed) => {
  const { sim, dag } = begin(seed, 2)
  const call = sim.call(home, dag)
  untilHalf(sim, dag).kill()
  sim.finish(120_000)
  const tookMs = (call.endedMs ?? 0) - call.startedMs
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(tookMs < 25_000, `soon, not after ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('a backend loses its power in the middle: nothing says so, another takes over', 4, (seed) => {
  const { sim, dag } = begin(seed, 2)
  const call = sim.call(home, dag)
  const dead = untilHalf(sim, dag)
  dead.backend.stall()
  sim.world.after(3_000, () => dead.backend.down())
  sim.finish(120_000)
  const tookMs = (call.endedMs ?? 0) - call.startedMs
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(tookMs < 30_000, `within half a minute, not ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario(
  'the only backend is killed: later calls are told to come again; it returns and goes on',
  4,
  (seed) => {
    const { sim, dag } = begin(seed, 1)
    const call = sim.call(home, dag)
    const dead = untilHalf(sim, dag)
    const spoke = call.lines.length > 0
    dead.kill()
    sim.world.pass(10_000)
    const next = sim.call(home, dag)
    dead.start(true)
    sim.world.pass(100)
    const again = sim.call(home, dag)
    sim.finish(120_000)
    const tookMs = (again.endedMs ?? 0) - again.startedMs
    return [
      ...expectThat(
        call.outcome === (spoke ? 'done' : 'no-backend'),
        `who was told so waits: ${call.outcome}`,
      ),
      ...expectThat(next.outcome === 'refused: no-backend', `refused, not ${next.outcome}`),
      ...expectThat(again.done, `the next one ends well, not with ${again.outcome}`),
      ...expectThat(tookMs < 15_000, `soon, not after ${tookMs} ms`),
      ...sim.close(),
    ]
  },
)

scenario('a browser goes in the middle and returns: what is there already is not in its way', 8, (seed) => {
  const { sim, dag, browser } = begin(seed, 2)
  const call = sim.call(home, dag)
  untilHalf(sim, dag)
  browser.disconnect()
  sim.world.pass(sim.world.integer(1_000, 20_000))
  browser.connect()
  const backMs = sim.world.now()
  sim.finish(120_000)
  const tookMs = (call.endedMs ?? 0) - backMs
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(tookMs < 10_000, `soon after it came back, not ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario(
  'a browser goes in the middle, its call too; both return: a part is on a backend already',
  8,
  (seed) => {
    const { sim, dag, browser } = begin(seed, 2)
    const { world } = sim
    const call = sim.call(home, dag, { abortAfterMs: world.integer(100, 600) })
    world.pass(700)
    browser.disconnect()
    world.pass(5_000)
    browser.connect()
    const again = sim.call(home, dag)
    sim.finish(120_000)
    const tookMs = (again.endedMs ?? 0) - again.startedMs
    return [
      ...expectThat(call.done || call.aborted, `the first is gone, not ${call.outcome}`),
      ...expectThat(again.done, `the second ends well, not with ${again.outcome}`),
      ...expectThat(tookMs < 30_000, `soon, not after ${tookMs} ms`),
      ...sim.close(),
    ]
  },
)

scenario('any part of a DAG is on a backend already', 12, (seed) => {
  const { sim, dag } = begin(seed, 2)
  const { world } = sim
  const share = world.random()
  for (const node of sim.nodes) {
    for (const index of dag.indices) if (world.chance(share)) node.backend.add(index)
  }
  const call = sim.call(home, dag)
  sim.finish(200_000)
  const tookMs = (call.endedMs ?? 0) - call.startedMs
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(tookMs < 60_000, `soon, not after ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('a browser vanishes for good: the call fails in time, and nothing was said', 6, (seed) => {
  const waitMs = 8_000
  const { sim, dag, browser } = begin(seed, 2, { waitMs })
  const call = sim.call(home, dag)
  untilHalf(sim, dag)
  browser.disconnect()
  const goneMs = sim.world.now()
  sim.finish(60_000)
  const tookMs = (call.endedMs ?? 0) - goneMs
  return [
    ...expectThat(call.outcome === 'no-client', `nobody brought it, not ${call.outcome}`),
    ...expectThat(tookMs < waitMs + 1_000, `within the wait, not ${tookMs} ms`),
    ...expectThat(holders(sim, call) === 0, 'no backend has it all'),
    ...sim.close(),
  ]
})

scenario('nobody ever comes: the call fails in time and was never accepted', 4, (seed) => {
  const waitMs = 8_000
  const { sim, dag, browser } = begin(seed, 2, { waitMs })
  browser.disconnect()
  const call = sim.call(home, dag)
  sim.finish(60_000)
  const tookMs = (call.endedMs ?? 0) - call.startedMs
  return [
    ...expectThat(call.outcome === 'no-client', `nobody brought it, not ${call.outcome}`),
    ...expectThat(call.acceptedMs === undefined, 'no 2xx'),
    ...expectThat(tookMs < waitMs + 3_000, `within the wait, not ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('a backend that hangs before it says or wants anything: another takes over', 4, (seed) => {
  const { sim, dag } = begin(seed, 0)
  const nodes = ['a', 'b'].map((name) => sim.addNode(name))
  for (const node of nodes) node.manner.refs = 'hangs'
  sim.world.pass(100)
  const call = sim.call(home, dag)
  sim.world.run(5_000, () => worker(sim) !== undefined)
  for (const node of nodes) if (node !== worker(sim)) delete node.manner.refs
  sim.finish(120_000)
  const tookMs = (call.endedMs ?? 0) - call.startedMs
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(tookMs < 30_000, `within half a minute, not ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('one backend fails, before or after lines: a second one is asked', 6, (seed) => {
  const { sim, dag } = begin(seed, 0)
  const ill = { ...(seed % 2 === 0 ? ({ refs: 'refuses' } as const) : { failsAfter: 3 }) }
  const nodes = ['a', 'b'].map((name) => sim.addNode(name, { refs: { ...ill } }))
  sim.world.pass(100)
  const call = sim.call(home, dag)
  sim.world.run(5_000, () => worker(sim) !== undefined)
  for (const node of nodes) {
    if (node === worker(sim)) continue
    delete node.manner.refs
    delete node.manner.failsAfter
  }
  sim.finish(120_000)
  return [...expectThat(call.done, `it ends well, not with ${call.outcome}`), ...sim.close()]
})

scenario('all backends fail: the call fails with what they say, and is no success', 4, (seed) => {
  const { sim, dag } = begin(seed, 0)
  const ill = { ...(seed % 2 === 0 ? ({ refs: 'refuses' } as const) : { failsAfter: 3 }) }
  for (const name of ['a', 'b', 'c']) sim.addNode(name, { refs: { ...ill } })
  sim.world.pass(100)
  const call = sim.call(home, dag)
  sim.finish(120_000)
  const asked = sim.nodes.reduce((sum, node) => sum + node.asked.length, 0)
  return [
    ...expectThat(call.outcome === 'backend', `a backend said so, not ${call.outcome}`),
    ...expectThat(asked === 2, `two were asked, not ${asked}`),
    ...sim.close(),
  ]
})

for (const replicas of [2, 3]) {
  scenario(
    `${replicas} copies: as many backends have it in the end, one did when the caller was told`,
    4,
    (seed) => {
      const { sim, dag, browser } = begin(seed, 3, { replicas })
      const call = sim.call(home, dag)
      sim.finish(120_000)
      if (seed % 2 === 0) browser.disconnect()
      sim.world.run(120_000, () => sim.relay.gauges.grants === 0)
      const { made, failed } = sim.relay.counters.copies
      return [
        ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
        ...expectThat(holders(sim, call) === replicas, `${replicas} have it, not ${holders(sim, call)}`),
        ...expectThat(
          made === replicas - 1 && failed === 0,
          `all copies made, not ${made}, ${failed} failed`,
        ),
        ...expectThat(sim.duplicates === 0, `no block pulled twice, not ${sim.duplicates}`),
        ...sim.close(),
      ]
    },
  )
}

scenario('copies of what the pool has already, whether its browser is there or not', 6, (seed) => {
  const { sim, dag, browser } = begin(seed, 3, { replicas: 2 })
  if (seed > 3) browser.disconnect()
  for (const index of dag.indices) sim.nodes[seed % 3]?.backend.add(index)
  const call = sim.call(home, dag)
  sim.finish(120_000)
  sim.world.run(300_000, () => sim.relay.gauges.grants === 0)
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(holders(sim, call) === 2, `two have it, not ${holders(sim, call)}`),
    ...expectThat(sim.blocksIn === 0, `nothing is pulled from the browser, not ${sim.blocksIn}`),
    ...sim.close(),
  ]
})

scenario('a copy whose backend dies or hangs is made by another one', 6, (seed) => {
  const { sim, dag } = begin(seed, 4, { replicas: 2, waitMs: 10_000 })
  const call = sim.call(home, dag)
  sim.world.run(60_000, () => !call.open)
  sim.world.run(5_000, () => worker(sim) !== undefined)
  const copying = worker(sim)
  if (seed % 2 === 0) copying?.kill()
  else copying?.backend.stall()
  sim.world.run(200_000, () => sim.relay.gauges.grants === 0)
  copying?.backend.wake()
  const { made, failed } = sim.relay.counters.copies
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(holders(sim, call) >= 2, `two have it, not ${holders(sim, call)}`),
    ...expectThat(
      made === 1 && failed === 0,
      `the copy was made by another one, not ${made}, ${failed} failed`,
    ),
    ...sim.close(),
  ]
})

scenario(
  'what is fetched is kept before the caller is told; a backend that cannot keep is not enough',
  4,
  (seed) => {
    const { sim, dag } = begin(seed, 0)
    const full = { keep: { ms: 50, failure: 'no space left' } }
    const nodes = ['a', 'b'].map((name) => sim.addNode(name, { refs: { ...full } }))
    sim.world.pass(100)
    const call = sim.call(home, dag)
    sim.world.run(5_000, () => worker(sim) !== undefined)
    const first = worker(sim)
    for (const node of nodes) if (node !== first) node.manner.keep = { ms: 2_000 }
    sim.finish(120_000)
    const second = nodes.find((node) => node !== first)
    const fetchedMs = second?.asked[0]?.endedMs ?? 0
    return [
      ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
      ...expectThat((call.endedMs ?? 0) >= fetchedMs + 2_000, 'only once it was kept'),
      ...sim.close(),
    ]
  },
)
