import { type PreloadChaosOptions, runPreloadChaos } from '#test/sim/preload-chaos.ts'
import { scenario } from '#test/sim/seeds.ts'

/** Pages that come and go, backends that die: no success that is none, and all ends well once all is well. */

const chaos: Record<string, PreloadChaosOptions> = {
  'pages that come, add and stay': { clients: 10 },
  'pages that vanish and return, callers that go': { fickle: true, impatient: true, clients: 5 },
  'pages among liars and the silent': { hostile: true },
  'pages onto backends that are killed': { kills: true, clients: 5 },
  'pages onto backends that stall, and lanes that drop': { stalls: true },
  'pages onto backends that are ill': { ill: true },
  'pages of which two copies are made, whatever happens': {
    replicas: 2,
    kills: true,
    stalls: true,
    fickle: true,
  },
  'pages and everything at once': {
    fickle: true,
    impatient: true,
    kills: true,
    stalls: true,
    ill: true,
    hostile: true,
    clients: 10,
  },
}
for (const [name, options] of Object.entries(chaos))
  scenario(name, 3, (seed) => runPreloadChaos(seed, options))

if (process.env['KITSUNE_TEST_LONG'] !== undefined) {
  scenario('a thousand pages and everything at once', 1, (seed) =>
    runPreloadChaos(seed, {
      browsers: 1_000,
      addresses: 200,
      overMs: 600_000,
      fickle: true,
      impatient: true,
      kills: true,
      stalls: true,
      ill: true,
      hostile: true,
      clients: 100,
    }),
  )
}
