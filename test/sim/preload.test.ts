import { PreloadSim } from '#test/sim/preload-sim.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { type BrowserManner, browsers } from '#test/sim/sim-browser.ts'

/** What browsers add, onto a pool that is well. */

const home = '10.0.0.1'

/** A simulation with backends whose lanes are up. */
function begin(seed: number, ...rest: [options?: object, preload?: object]): PreloadSim {
  const sim = new PreloadSim(seed, ...rest)
  for (const name of ['a', 'b', 'c']) sim.addNode(name)
  sim.world.pass(100)
  return sim
}

const honest: Record<string, BrowserManner> = browsers
for (const [name, manner] of Object.entries(honest)) {
  if (manner.silent || manner.wrongBytes) continue
  scenario(`what a browser adds is fetched whole, each block once: ${name}`, 4, (seed) => {
    const sim = begin(seed)
    const { world, dags } = sim
    const browser = sim.addBrowser(home, manner)
    const dag = dags.any(world.integer(1, 80))
    browser.add(dag)
    browser.connect()
    const call = sim.call(home, dag)
    sim.finish(60_000)
    const tookMs = (call.endedMs ?? 0) - call.startedMs
    return [
      ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
      ...expectThat(tookMs < 5_000 || name === 'slow', `within seconds, not ${tookMs} ms`),
      ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
      ...expectThat(sim.blocksIn === dag.indices.size, `every block once, not ${sim.blocksIn}`),
      ...sim.close(),
    ]
  })
}

scenario('refs comes before the browser connects, up to ten seconds', 4, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const late = range(8).map((n) => {
    const address = `10.0.1.${n}`
    const browser = sim.addBrowser(address, world.pick([browsers.jsIpfs, browsers.oldJsIpfs, browsers.boxo]))
    const dag = dags.any(world.integer(1, 30))
    browser.add(dag)
    const call = sim.call(address, dag)
    const afterMs = world.integer(300, 10_000)
    world.after(afterMs, () => browser.connect())
    return { call, afterMs }
  })
  sim.finish(60_000)
  const slowest = Math.max(...late.map(({ call, afterMs }) => (call.endedMs ?? 0) - call.startedMs - afterMs))
  return [
    ...expectThat(
      late.every(({ call }) => call.done),
      `all end well, not ${late.map(({ call }) => call.outcome)}`,
    ),
    ...expectThat(slowest < 3_000, `soon after the connection, not ${slowest} ms`),
    ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
    ...sim.close(),
  ]
})

const households: Record<string, readonly BrowserManner[]> = {
  'two js-ipfs': [browsers.jsIpfs, browsers.jsIpfs],
  'two old js-ipfs': [browsers.oldJsIpfs, browsers.oldJsIpfs],
  'two of boxo': [browsers.boxo, browsers.boxo],
  'one of each': [browsers.jsIpfs, browsers.boxo, browsers.oldJsIpfs],
}
for (const [name, manners] of Object.entries(households)) {
  scenario(`one address, the same content in every browser, fetched once: ${name}`, 4, (seed) => {
    const sim = begin(seed)
    const { world, dags } = sim
    const dag = dags.any(world.integer(20, 60))
    for (const manner of manners) {
      const browser = sim.addBrowser(home, manner)
      browser.add(dag)
      browser.connect()
    }
    const call = sim.call(home, dag)
    sim.finish(60_000)
    return [
      ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
      ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
      ...sim.close(),
    ]
  })
}

scenario('a large office: whoever has it is found among those who have not', 4, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.any(world.integer(5, 40))
  const owner = world.integer(0, 39)
  for (const n of range(40)) {
    const manners = [browsers.jsIpfs, browsers.boxo, browsers.oldJsIpfs, browsers.silent, browsers.liar]
    const browser = sim.addBrowser(home, n === owner ? browsers.jsIpfs : world.pick(manners))
    if (n === owner) browser.add(dag)
    browser.connect()
  }
  const call = sim.call(home, dag)
  sim.finish(60_000)
  const tookMs = (call.endedMs ?? 0) - call.startedMs
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(tookMs < 8_000, `within seconds, not ${tookMs} ms`),
    ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
    ...sim.close(),
  ]
})

scenario('content in two halves, in two browsers of one address', 4, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.any(60)
  const half = new Set([...dag.indices].filter(() => world.chance(0.5)))
  for (const mine of [true, false]) {
    const browser = sim.addBrowser(home, world.pick([browsers.jsIpfs, browsers.boxo, browsers.oldJsIpfs]))
    browser.add(dag, (index) => half.has(index) === mine)
    browser.connect()
  }
  const call = sim.call(home, dag)
  sim.finish(120_000)
  return [...expectThat(call.done, `it ends well, not with ${call.outcome}`), ...sim.close()]
})

scenario('a browser adds while it is asked already', 4, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.any(40)
  const browser = sim.addBrowser(home, world.pick([browsers.jsIpfs, browsers.boxo, browsers.oldJsIpfs]))
  browser.connect()
  const call = sim.call(home, dag)
  for (const index of dag.indices) {
    world.after(world.integer(100, 20_000), () => browser.add(dag, (other) => other === index))
  }
  sim.finish(120_000)
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
    ...sim.close(),
  ]
})

scenario('ten calls of one query are one piece of work, and each gets the whole answer', 4, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.any(60)
  const browser = sim.addBrowser(home, browsers.jsIpfs)
  browser.add(dag)
  world.after(1_000, () => browser.connect())
  const calls = range(10).map(() => sim.call(home, dag, { readsAfterMs: world.integer(0, 500) }))
  sim.finish(60_000)
  const works = sim.nodes.reduce((sum, node) => sum + node.asked.length, 0)
  return [
    ...expectThat(
      calls.every((call) => call.done),
      'all end well',
    ),
    ...expectThat(works === 1, `one backend is told once, not ${works}`),
    ...sim.close(),
  ]
})

scenario('two addresses ask for one root in different words; the first goes away', 4, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.any(60)
  const first = sim.call('10.0.0.1', dag, { abortAfterMs: world.integer(100, 2_000) })
  const browser = sim.addBrowser('10.0.0.2', browsers.jsIpfs)
  browser.add(dag)
  world.pass(50)
  const second = sim.call('10.0.0.2', dag, { query: { unique: true } })
  const afterMs = world.integer(1, 4_000)
  world.after(afterMs, () => browser.connect())
  sim.finish(180_000)
  const tookMs = (second.endedMs ?? 0) - second.startedMs - afterMs
  return [
    ...expectThat(first.aborted || first.done, 'the first is gone'),
    ...expectThat(second.done, `the second ends well, not with ${second.outcome}`),
    ...expectThat(tookMs < 5_000, `soon after its browser came, not ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('DAGs that share parts, behind two addresses: each is asked for its own only', 6, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const shared = dags.any(10)
  const common = [...shared.indices].map((index) => sim.content.get(index))
  const calls = range(6).map((n) => {
    const address = `10.0.0.${1 + (n % 2)}`
    const dag = dags.under(dags.node([shared.root, dags.any(30, common).root, dags.leaf(100)]))
    const browser = sim.addBrowser(address, world.pick([browsers.jsIpfs, browsers.boxo, browsers.oldJsIpfs]))
    browser.add(dag)
    world.after(world.integer(0, 2_000), () => browser.connect())
    return sim.call(address, dag)
  })
  sim.finish(180_000)
  const slowest = Math.max(...calls.map((call) => (call.endedMs ?? 0) - call.startedMs))
  return [
    ...expectThat(
      calls.every((call) => call.done),
      `all end well, not ${calls.map((call) => call.outcome)}`,
    ),
    ...expectThat(slowest < 10_000, `soon, not ${slowest} ms`),
    ...sim.close(),
  ]
})

scenario('others retrieve what is added, while it is added and after its browser is gone', 4, (seed) => {
  const sim = begin(seed)
  return [...retrieve(sim), ...sim.close()]
})

function retrieve(sim: PreloadSim): string[] {
  const { world, dags } = sim
  const dag = dags.any(60)
  const forms = ['v1-raw', 'v0', 'v1-dag-cbor'] as const
  const early = sim.sim.addClient(
    { version: '1.2', haveFirst: true, sendDontHave: true, cancels: 1, window: 16, perMessage: 16, forms },
    [...dag.indices],
  )
  const browser = sim.addBrowser(home, browsers.jsIpfs)
  browser.add(dag)
  world.after(500, () => browser.connect())
  const call = sim.call(home, dag)
  sim.finish(60_000)
  browser.disconnect()
  const late = sim.sim.addClient({ version: '1.2', cancels: 2, window: 32, overtaking: true, forms }, [
    ...dag.indices,
  ])
  sim.sim.finish(70_000)
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(
      early.got.size === dag.indices.size && late.got.size === dag.indices.size,
      'both have everything',
    ),
    ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
  ]
}
