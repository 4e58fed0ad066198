import { Content } from '#test/sim/content.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { manners } from '#test/sim/sim-client.ts'
import { defaultOptions, Simulation } from '#test/sim/simulation.ts'

/** What happens to wants that no backend has. */

const fetching = { ...defaultOptions, miss: { ...defaultOptions.miss, mode: 'fetch' as const } }
const few = (): Content => new Content(100, () => 2_000)

scenario('what nobody has is fetched by one backend, once for all who want it', 3, (seed) => {
  const sim = new Simulation(seed, few, fetching)
  const backends = ['a', 'b'].map((name) => sim.addBackend(name, () => false, { withRpc: true }))
  for (const backend of backends) {
    backend.rpc = (index) => ({
      afterMs: 1_500,
      result: { kind: 'found', bytes: sim.content.get(index ?? 0).bytes },
    })
  }
  const waiting = sim.addClient(manners.jsIpfs, range(100))
  const told = sim.addClient(manners.helia, range(100))
  sim.finish()
  const fetches = backends.reduce((sum, backend) => sum + backend.fetches, 0)
  return [
    ...expectThat(fetches === 100, `one fetch per block, not ${fetches}`),
    ...expectThat(waiting.got.size === 100 && told.got.size === 100, 'both get every block'),
    ...expectThat(sim.verdicts.dontHaves >= 100, 'who asked to be told is told in time'),
    ...sim.close(),
  ]
})

scenario('fetches that fail, time out or bring the wrong bytes', 3, (seed) => {
  const sim = new Simulation(seed, few, fetching)
  const backend = sim.addBackend('a', () => false, { withRpc: true })
  backend.rpc = (index = 0) => {
    const wrong = { kind: 'found', bytes: new Uint8Array(2_000) } as const
    const results = [
      { kind: 'not-found' },
      { kind: 'error', reason: 'html' },
      wrong,
      { kind: 'timeout' },
    ] as const
    return { afterMs: index % 4 === 3 ? 1e9 : 10, result: results[index % 4] ?? results[0] }
  }
  const client = sim.addClient({ ...manners.raw, onDontHave: 'give-up' }, range(100))
  sim.finish(60_000)
  const { misses, refusedBackend } = sim.relay.counters
  return [
    ...expectThat(client.absent.size === 100 && client.got.size === 0, 'every want ends in DONT_HAVE'),
    ...expectThat(misses['not-found'] === 25 && misses.error === 50, 'each is counted by its outcome'),
    ...expectThat(refusedBackend['wrong-block'] === 25, 'wrong bytes are counted against their sender'),
    ...sim.close(),
  ]
})

scenario('fetches are bounded at once and per client', 3, (seed) => {
  const options = { ...fetching, client: { ...fetching.client, fetchesPerMinute: 30 } }
  const sim = new Simulation(seed, few, { ...options, miss: { ...options.miss, concurrency: 4 } })
  const backend = sim.addBackend('a', () => false, { withRpc: true })
  backend.rpc = () => ({ afterMs: 20, result: { kind: 'not-found' } })
  let most = 0
  sim.world.every(1, () => {
    most = Math.max(most, sim.relay.gauges.missesUnderWay)
  })
  const client = sim.addClient({ ...manners.raw, onDontHave: 'give-up' }, range(100))
  sim.finish(10_000)
  return [
    ...expectThat(most === 4, `four at once, not ${most}`),
    ...expectThat(backend.fetches <= 32, `the client's budget holds: ${backend.fetches}`),
    ...expectThat(sim.relay.counters.misses['over-budget'] >= 68, 'the rest is counted'),
    ...expectThat(client.absent.size === 100, 'all are told'),
    ...sim.close(),
  ]
})

scenario('clients that leave abandon their fetches', 3, (seed) => {
  const sim = new Simulation(seed, few, { ...fetching, miss: { ...fetching.miss, concurrency: 8 } })
  const backend = sim.addBackend('a', () => false, { withRpc: true })
  backend.rpc = () => ({ afterMs: 20_000, result: { kind: 'not-found' } })
  const client = sim.addClient(manners.raw, range(100))
  sim.world.pass(2_000)
  const during = sim.relay.gauges.missesUnderWay
  client.leave()
  const after = sim.relay.gauges.missesUnderWay
  return [
    ...expectThat(during === 8 && after === 0, `8 then none, not ${during} then ${after}`),
    ...sim.close(),
  ]
})

scenario('a backend that returns during a fetch is asked before anyone is told', 3, (seed) => {
  const sim = new Simulation(seed, few, fetching)
  const fetches = sim.addBackend('a', () => false, { withRpc: true })
  fetches.rpc = () => ({ afterMs: 25_000, result: { kind: 'not-found' } })
  const owner = sim.addBackend('b', () => true)
  sim.world.pass(100)
  owner.down()
  sim.world.pass(20_000)
  const client = sim.addClient(manners.jsIpfs, range(20))
  sim.world.pass(5_000)
  owner.up()
  sim.world.pass(2_000)
  return [...expectThat(client.got.size === 20, 'the blocks come when the backend does'), ...sim.close()]
})

scenario('without fetching, what nobody has is not there, and still comes when it is', 3, (seed) => {
  const sim = new Simulation(seed, few)
  const backend = sim.addBackend('a', () => false)
  const client = sim.addClient(manners.helia, range(100))
  sim.world.pass(2_000)
  const told = sim.verdicts.dontHaves
  for (const index of range(100)) backend.add(index)
  sim.finish(61_000)
  return [
    ...expectThat(told >= manners.helia.window, `told at once: ${told}`),
    ...expectThat(client.got.size === 100, 'the blocks came after all'),
    ...sim.close(),
  ]
})
