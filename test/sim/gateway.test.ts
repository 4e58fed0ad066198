import { allAtOnce, type ChaosOptions, runChaos } from '#test/sim/chaos.ts'
import { Content } from '#test/sim/content.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { type ClientManner, manners } from '#test/sim/sim-client.ts'
import { type GatewayManner, SimGateway } from '#test/sim/sim-gateway.ts'
import { defaultOptions, Simulation } from '#test/sim/simulation.ts'

/** The second road: gateways that are well, and those that fail in each way. */

const large = 65_536
const options = { ...defaultOptions, cacheBytes: 0 }
const direct: ClientManner = { ...manners.raw, window: 64, perMessage: 64, forms: ['v1-raw', 'v0'] }

interface Run {
  readonly sim: Simulation
  readonly gateway: SimGateway
  readonly found: number
  /** From the first want to the last block. */
  readonly tookMs: number
}

/** One backend with a gateway gives its blocks to a few clients; without `manner`, it has no gateway. */
function run(seed: number, blockBytes: number, manner: GatewayManner | undefined, count = 1_000): Run {
  const sim = new Simulation(seed, () => new Content(count, () => blockBytes), options)
  sim.steady = true
  const gateway = new SimGateway(sim.world, sim.content, manner)
  const latencyMs = (): number => 2 + 2 * sim.world.random()
  sim.addBackend('a', () => true, { latencyMs, ...(manner && { gateway }) })
  const startMs = sim.world.now()
  for (let n = 0; n < 4; n++) sim.addClient(direct, range(count / 4, (n * count) / 4))
  sim.finish(60_000)
  return { sim, gateway, found: sim.relay.counters.gateway.found, tookMs: sim.world.now() - startMs }
}

scenario('large blocks come by a gateway that is faster', 2, (seed) => {
  const { sim, found, tookMs } = run(seed, large, {})
  const without = run(seed, large, undefined)
  return [
    ...expectThat(found > 700, `most of 1,000 by the gateway, not ${found}`),
    ...expectThat(tookMs <= without.tookMs, `in no more time: ${tookMs} and ${without.tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('small blocks never do', 2, (seed) => {
  const { sim, gateway } = run(seed, 1_024, {})
  return [...expectThat(gateway.requests === 0, `no request, not ${gateway.requests}`), ...sim.close()]
})

const poor: Record<string, GatewayManner> = {
  'is slower than Bitswap': { latencyMs: () => 80 },
  'never answers': { stalls: 1 },
  'always fails': { fails: 1 },
  'always lies': { lies: 1 },
  'lacks everything': { lacks: 1 },
}
for (const [name, manner] of Object.entries(poor)) {
  scenario(`a gateway that ${name} costs next to nothing`, 2, (seed) => {
    const { sim, gateway, tookMs } = run(seed, large, manner)
    const without = run(seed, large, undefined)
    const { requests } = gateway
    return [
      ...expectThat(requests > 0, 'it is tried'),
      ...expectThat(requests < 150, `and left alone, not asked ${requests} times`),
      ...expectThat(tookMs < without.tookMs + 250, `no slower: ${tookMs} and ${without.tookMs} ms`),
      ...expectThat(sim.verdicts.dontHaves === 0, 'nobody hears DONT_HAVE'),
      ...sim.close(),
    ]
  })
}

scenario('a gateway that recovers is used again, and each change is said once', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(3_000, () => large), options)
  const gateway = new SimGateway(sim.world, sim.content)
  sim.addBackend('a', () => true, { gateway })
  sim.addClient(direct, range(1_000))
  sim.finish()
  gateway.manner = { fails: 1 }
  sim.addClient(direct, range(1_000, 1_000))
  sim.finish()
  const before = sim.relay.counters.gateway.found
  gateway.manner = {}
  sim.world.pass(5_000)
  sim.addClient(direct, range(1_000, 2_000))
  sim.finish()
  const found = sim.relay.counters.gateway.found - before
  const said = sim.states.map((state) => state.split(' ').slice(1).join(' '))
  return [
    ...expectThat(found > 700, `most of 1,000 by the gateway again, not ${found}`),
    ...expectThat(said.join() === 'a ready,a given-up,a back', `not ${said}`),
    ...sim.close(),
  ]
})

scenario('a flood of large wants opens no more requests than it may', 1, (seed) => {
  const sim = new Simulation(seed, () => new Content(6_000, () => large), options)
  const stuck: GatewayManner = { latencyMs: () => 90 }
  const gateways = ['a', 'b', 'c', 'd'].map((name) => {
    const gateway = new SimGateway(sim.world, sim.content)
    sim.addBackend(name, () => true, { gateway, latencyMs: () => 50 })
    return gateway
  })
  let mostOpen = 0
  sim.world.every(1, () => {
    mostOpen = Math.max(
      mostOpen,
      gateways.reduce((sum, { open }) => sum + open, 0),
    )
  })
  sim.addClient(direct, range(2_000))
  sim.finish()
  for (const gateway of gateways) gateway.manner = stuck
  for (let n = 0; n < 8; n++) sim.addClient({ ...direct, window: 500 }, range(500, 2_000 + n * 500))
  sim.finish()
  const most = Math.max(...gateways.map((gateway) => gateway.mostOpen))
  return [
    ...expectThat(most > 20 && most <= 32, `at most 32 at each of four, not ${most}`),
    ...expectThat(mostOpen > 64 && mostOpen <= 128, `at most 128 at all, not ${mostOpen}`),
    ...sim.close(),
  ]
})

scenario('clients that leave take their requests back', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(600, () => large), options)
  const gateway = new SimGateway(sim.world, sim.content)
  sim.addBackend('a', () => true, { gateway })
  const clients = [sim.addClient(direct, range(300)), sim.addClient(direct, range(300, 300))]
  sim.world.run(5_000, () => gateway.open > 20)
  const before = gateway.open
  for (const client of clients) client.leave()
  return [
    ...expectThat(before > 20 && gateway.open === 0, `${before} open, then ${gateway.open}`),
    ...sim.close(),
  ]
})

scenario('a backend that is lost: what was open at its gateway comes from another', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(600, () => large), options)
  const gateway = new SimGateway(sim.world, sim.content)
  const lost = sim.addBackend('a', () => true, { gateway })
  sim.addClient(direct, range(300))
  sim.finish()
  sim.addBackend('b', () => true)
  gateway.manner = { latencyMs: () => 2_000 }
  sim.addClient(direct, range(300, 300))
  sim.world.run(5_000, () => gateway.open > 20)
  const before = gateway.open
  lost.down()
  sim.finish(3_000)
  const { timeout } = sim.relay.counters.gateway
  return [
    ...expectThat(timeout === 0, 'at once, not when its time is over'),
    ...expectThat(before > 20 && gateway.open === 0, `${before} open, then ${gateway.open}`),
    ...expectThat(sim.verdicts.dontHaves === 0, 'nobody hears DONT_HAVE'),
    ...sim.close(),
  ]
})

const bad: GatewayManner = { fails: 0.05, lies: 0.05, stalls: 0.03, lacks: 0.1 }
const some = { blocks: 120, clients: 8, wantsPerClient: 80 }
const chaos: Record<string, ChaosOptions> = {
  'gateways that fail': { gateway: { fails: 0.2 } },
  'gateways that lie': { gateway: { lies: 0.2 } },
  'gateways that stall': { gateway: { stalls: 0.1 } },
  'gateways that lack blocks': { gateway: { lacks: 0.3 } },
  'lost backends with gateways': { gateway: {}, drops: true },
  'stalled backends with gateways': { gateway: {}, stalls: true },
  'all of it at once': { gateway: bad, ...allAtOnce },
}
for (const [name, each] of Object.entries(chaos)) {
  scenario(`${name}: no want lost, no wrong byte`, 3, (seed) => runChaos(seed, { ...some, ...each }))
}
