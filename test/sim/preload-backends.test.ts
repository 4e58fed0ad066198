import { begin, holders, home, untilHalf, worker } from '#test/sim/preload-scene.ts'
import { expectThat, scenario } from '#test/sim/seeds.ts'

/** What browsers add, onto backends that die, hang, fail, or have a part of it already. */

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
