import { Content } from '#test/sim/content.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { manners } from '#test/sim/sim-client.ts'
import { defaultOptions, Simulation } from '#test/sim/simulation.ts'

/** Backends that fail in one way each, and what clients may notice of it. */

const few = (): Content => new Content(200, (index) => 100 + index * 50)
/** No DONT_HAVE before a lost backend was waited for this long. */
const graceMs = 15_000

scenario('a lane drops with wants under way', 3, (seed) => {
  const sim = new Simulation(seed, few)
  const backend = sim.addBackend('a', () => true)
  sim.addClient(manners.jsIpfs, range(200))
  sim.addClient(manners.boxo, range(200))
  sim.world.run(1_000, () => sim.relay.gauges.pending > 20)
  backend.downLane(0)
  backend.downLane(1)
  backend.downLane(2)
  sim.finish(3_000)
  return [
    ...expectThat(sim.relay.counters.movedAsks > 0, 'wants moved to other lanes'),
    ...expectThat(sim.verdicts.dontHaves === 0, 'nobody hears DONT_HAVE'),
    ...sim.close(),
  ]
})

scenario('a backend is killed and returns; its content is only there', 3, (seed) => {
  const sim = new Simulation(seed, few)
  sim.addBackend('a', () => false)
  const owner = sim.addBackend('b', () => true)
  sim.world.pass(1_000)
  owner.down()
  const silent = sim.addClient(manners.jsIpfs, range(100))
  const told = sim.addClient(manners.helia, range(100, 100))
  sim.world.pass(graceMs - 1_000)
  const early = sim.verdicts.dontHaves
  sim.world.pass(3_000)
  const late = sim.verdicts.dontHaves
  owner.up()
  sim.finish(3_000)
  return [
    ...expectThat(early === 0, `no DONT_HAVE within the grace time, not ${early}`),
    ...expectThat(late > 0, 'DONT_HAVE after the grace time'),
    ...expectThat(silent.got.size === 100 && told.got.size === 100, 'every block, soon after the return'),
    ...sim.close(),
  ]
})

scenario('a backend is killed; what others have too comes from them', 3, (seed) => {
  const sim = new Simulation(seed, few)
  const killed = sim.addBackend('a', () => true)
  sim.addBackend('b', () => true)
  sim.addClient(manners.jsIpfs, range(200))
  sim.addClient(manners.boxo, range(200))
  sim.world.run(1_000, () => sim.relay.gauges.pending > 20)
  killed.down()
  sim.finish(3_000)
  return [
    ...expectThat(sim.slowestMs < 400, `at once, not after ${sim.slowestMs} ms`),
    ...expectThat(sim.verdicts.dontHaves === 0, 'nobody hears DONT_HAVE'),
    ...sim.close(),
  ]
})

scenario('both backends are down and return', 3, (seed) => {
  const sim = new Simulation(seed, few)
  const backends = [sim.addBackend('a', (i) => i % 2 === 0), sim.addBackend('b', (i) => i % 2 === 1)]
  const clients = [manners.jsIpfs, manners.helia, manners.boxo, manners.raw].map((manner) =>
    sim.addClient(manner, range(200)),
  )
  sim.world.pass(5)
  for (const backend of backends) backend.down()
  sim.world.pass(60_000)
  const dontHaves = sim.verdicts.dontHaves
  backends[0]?.up()
  sim.world.pass(500)
  backends[1]?.up()
  sim.finish(3_000)
  return [
    ...expectThat(dontHaves === 0, 'no DONT_HAVE while there was nobody to ask'),
    ...expectThat(
      clients.every((client) => client.got.size === 200),
      'every block at every client',
    ),
    ...sim.close(),
  ]
})

scenario('a stalled backend holds up nobody whose block is elsewhere too', 3, (seed) => {
  const sim = new Simulation(seed, (world) => new Content(6_000, () => world.integer(10, 900)), {
    ...defaultOptions,
    lanes: 1,
  })
  const stalled = sim.addBackend('a', () => true)
  sim.addBackend('b', () => true)
  sim.world.pass(100)
  stalled.stall()
  for (let n = 0; n < 4; n++) sim.addClient(manners.raw, range(1_500, n * 1_500))
  sim.finish(20_000)
  return [...expectThat(sim.slowestMs < 7_000, `nobody waits long, not ${sim.slowestMs} ms`), ...sim.close()]
})

scenario('a backend stalls and wakes; its content is only there', 3, (seed) => {
  const sim = new Simulation(seed, few)
  const stalled = sim.addBackend('a', () => true)
  sim.addBackend('b', () => false)
  sim.world.pass(100)
  stalled.stall()
  const clients = [sim.addClient(manners.jsIpfs, range(200)), sim.addClient(manners.boxo, range(200))]
  sim.world.pass(12_000)
  const early = sim.verdicts.dontHaves
  stalled.wake()
  sim.finish(5_000)
  return [
    ...expectThat(early === 0, 'no DONT_HAVE within the grace time'),
    ...expectThat(
      clients.every((client) => client.got.size === 200),
      'every block at every client',
    ),
    ...sim.close(),
  ]
})

scenario('a backend that hangs for good does not keep others from an answer', 3, (seed) => {
  const sim = new Simulation(seed, few, {
    ...defaultOptions,
    miss: { ...defaultOptions.miss, mode: 'fetch' },
  })
  const hangs = sim.addBackend('a', () => false)
  const works = sim.addBackend('b', (index) => index < 100, { withRpc: true })
  works.rpc = (index) => ({
    afterMs: 100,
    result: { kind: 'found', bytes: sim.content.get(index ?? 0).bytes },
  })
  sim.world.pass(100)
  hangs.stall()
  sim.addClient(manners.jsIpfs, [...range(50), ...range(50, 100)])
  sim.finish(90_000)
  const firstMs = sim.slowestMs
  sim.slowestMs = 0
  sim.addClient(manners.jsIpfs, [...range(50, 50), ...range(50, 150)])
  sim.finish(90_000)
  return [
    ...expectThat(firstMs < 2 * graceMs, `what nobody has is fetched, not after ${firstMs} ms`),
    ...expectThat(sim.slowestMs < 7_000, `later it is not waited for, not ${sim.slowestMs} ms`),
    ...sim.close(),
  ]
})

scenario('wants of what nobody has do not stop the rest', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(12_000, () => 500), { ...defaultOptions, lanes: 1 })
  sim.steady = true
  sim.addBackend('a', (index) => index >= 8_000)
  sim.addBackend('b', (index) => index >= 10_000)
  const asking = { ...manners.boxo, window: 2_000, perMessage: 2_000, onDontHave: 'give-up' } as const
  for (let n = 0; n < 4; n++) sim.addClient(asking, range(2_000, n * 2_000))
  const served = sim.addClient(manners.helia, range(4_000, 8_000))
  sim.finish(30_000)
  return [...expectThat(served.got.size === 4_000, 'what is there is served'), ...sim.close()]
})

scenario('wants of what is always asked for at the wrong backend first', 1, (seed) => {
  const options = { ...defaultOptions, lanes: 1, cacheBytes: 0 }
  const sim = new Simulation(seed, (world) => new Content(16_000, () => world.integer(1_100, 1_500)), options)
  const backends = ['a', 'b', 'c'].map((name) => sim.addBackend(name, () => false))
  // The whole burst is asked for at the first backends before any block is there; then the last has them all.
  const burst = { ...manners.boxo, window: 2_000, perMessage: 2_000 } as const
  for (let n = 0; n < 8; n++) sim.addClient(burst, range(2_000, n * 2_000))
  sim.world.after(1, () => {
    for (const { index } of sim.content.blocks) backends[index % 3]?.add(index)
  })
  sim.finish(60_000)
  return sim.close()
})

scenario('what was lost or gained is noticed', 3, (seed) => {
  const sim = new Simulation(seed, few, { ...defaultOptions, cacheBytes: 0 })
  const a = sim.addBackend('a', () => true)
  const b = sim.addBackend('b', () => false)
  const first = sim.addClient(manners.helia, range(200))
  sim.finish()
  for (const index of range(200)) {
    a.remove(index)
    if (index % 2 === 0) b.add(index)
  }
  const second = sim.addClient({ ...manners.jsIpfs, window: 256 }, range(200))
  sim.world.pass(10_000)
  const half = second.got.size
  for (const index of range(200)) b.add(index)
  sim.finish(61_000)
  return [
    ...expectThat(first.got.size === 200, 'the first client is served'),
    ...expectThat(half >= 100, `what moved is found: ${half}`),
    ...sim.close(),
  ]
})
