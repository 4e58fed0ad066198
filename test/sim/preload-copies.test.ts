import { begin, holders, home, worker } from '#test/sim/preload-scene.ts'
import { expectThat, scenario } from '#test/sim/seeds.ts'

/** Copies on further backends, whatever happens. */

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
