import { allAtOnce, type ChaosOptions, runChaos } from '#test/sim/chaos.ts'
import { Content, mixedSizes } from '#test/sim/content.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { manners } from '#test/sim/sim-client.ts'
import { defaultOptions, Simulation } from '#test/sim/simulation.ts'

scenario('every kind of client over a healthy pool', 6, (seed) => {
  const sim = new Simulation(seed, (world) => new Content(300, mixedSizes(world)))
  sim.steady = true
  sim.addBackend('a', (index) => index % 3 === 0)
  sim.addBackend('b', (index) => index % 3 === 1 || index % 7 === 0)
  sim.addBackend('helia', (index) => index % 3 === 2, { manner: { ignoresRepeats: true } })
  for (const manner of Object.values(manners)) sim.addClient(manner, range(300))
  sim.finish()
  const { doubleAsks, surplusBlocks, asks } = sim.verdicts
  return [
    ...expectThat(doubleAsks === 0, `no block asked for by two lanes of one backend, not ${doubleAsks}`),
    ...expectThat(surplusBlocks === 0, `no block sent twice, not ${surplusBlocks}`),
    ...expectThat(asks < 300 * 4, `clients share asks: ${asks} for 300 blocks and ${sim.wants} wants`),
    ...expectThat(sim.slowestMs < 1_500, `nothing slow, not ${sim.slowestMs} ms`),
    ...sim.close(),
  ]
})

scenario('without a cache every client is still served', 3, (seed) => {
  const sim = new Simulation(seed, (world) => new Content(200, mixedSizes(world)), {
    ...defaultOptions,
    cacheBytes: 0,
  })
  sim.steady = true
  sim.addBackend('a', (index) => index % 2 === 0)
  sim.addBackend('helia', (index) => index % 2 === 1, { manner: { ignoresRepeats: true } })
  for (const manner of Object.values(manners)) sim.addClient(manner, range(200))
  sim.finish()
  // The same again: a Helia ignores wants that it answered before, unless they are cancelled first.
  for (const manner of Object.values(manners)) sim.addClient(manner, range(200))
  sim.finish()
  return [...expectThat(sim.slowestMs < 1_500, `nothing slow, not ${sim.slowestMs} ms`), ...sim.close()]
})

const chaos: Record<string, ChaosOptions> = {
  'lanes and backends that drop and return': { drops: true },
  'backends that stall': { stalls: true },
  'a backend that lies': { liar: { wrongBytes: 0.3, emptyPromises: true, pushes: 0.2 } },
  'backends that do not hear everything': { deaf: 0.05 },
  'clients that vanish, return and change their mind': { fickle: true },
  'all of it at once': allAtOnce,
}
for (const [name, options] of Object.entries(chaos)) scenario(name, 4, (seed) => runChaos(seed, options))

if (process.env['KITSUNE_TEST_LONG'] !== undefined) {
  scenario('a million wants', 1, (seed) =>
    runChaos(seed, {
      drops: true,
      stalls: true,
      liar: { wrongBytes: 0.1, pushes: 0.1, deaf: 0.001 },
      deaf: 0.0001,
      fickle: true,
      moving: true,
      small: true,
      rarer: 20,
      cacheBytes: 4 * 1024 * 1024,
      wants: 1_000_000,
      blocks: 20_000,
      clients: 100,
      wantsPerClient: 10_500,
    }),
  )
}
