import { PreloadSim } from '#test/sim/preload-sim.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { browsers } from '#test/sim/sim-browser.ts'

/** DAGs that are too large, callers that are too many or too slow, backends that want too much. */

const home = '10.0.0.1'

function begin(seed: number, preload: ConstructorParameters<typeof PreloadSim>[2] = {}): PreloadSim {
  const sim = new PreloadSim(seed, {}, preload)
  for (const name of ['a', 'b']) sim.addNode(name)
  sim.world.pass(100)
  return sim
}

scenario('a root over thousands of leaves, from two browsers that tell what they have', 2, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.flat(3_000, () => world.integer(8, 2_000))
  const here = range(2).map(() => {
    const browser = sim.addBrowser(home, browsers.jsIpfs)
    browser.add(dag)
    browser.connect()
    return browser
  })
  const call = sim.call(home, dag)
  sim.finish(120_000)
  const most = Math.max(...here.map(({ mostHeld }) => mostHeld))
  return [
    ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
    ...expectThat(most <= 1_024, `no client has more wants of us than it keeps, not ${most}`),
    ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
    ...sim.close(),
  ]
})

scenario(
  'a page in the background answers nothing for a while, with thousands of blocks to come',
  2,
  (seed) => {
    const sim = begin(seed)
    const { world, dags } = sim
    const dag = dags.flat(2_500, () => world.integer(2_000, 9_000))
    const browser = sim.addBrowser(home, browsers.jsIpfs)
    browser.add(dag)
    browser.connect()
    const call = sim.call(home, dag)
    world.run(60_000, () => sim.blocksIn > 300)
    browser.asleep = true
    world.pass(45_000)
    browser.asleep = false
    sim.finish(120_000)
    return [
      ...expectThat(call.done, `it ends well, not with ${call.outcome}`),
      ...expectThat(browser.mostHeld <= 1_024, `it has no more wants than it keeps, not ${browser.mostHeld}`),
      ...expectThat(sim.duplicates === 0, `no block twice, not ${sim.duplicates}`),
      ...sim.close(),
    ]
  },
)

scenario(
  'blocks of a fast browser onto backends that hardly read: what is on its way is bounded',
  2,
  (seed) => {
    const bufferBytes = 4 * 1024 * 1024
    const sim = begin(seed, { bufferBytes })
    const { world, dags } = sim
    const calls = range(4).map((n) => {
      const dag = dags.flat(40, () => 256 * 1024)
      const browser = sim.addBrowser(`10.0.0.${n}`, browsers.boxo)
      browser.add(dag)
      browser.connect()
      return sim.call(`10.0.0.${n}`, dag)
    })
    let most = 0
    world.every(10, () => {
      most = Math.max(most, sim.relay.gauges.supplyBytes)
    })
    world.pass(300)
    for (const { backend } of sim.nodes) backend.stall()
    world.pass(3_000)
    for (const { backend } of sim.nodes) backend.wake()
    sim.finish(120_000)
    return [
      ...expectThat(
        calls.every((call) => call.done),
        `all end well, not ${calls.map((call) => call.outcome)}`,
      ),
      ...expectThat(most <= bufferBytes * 1.5, `the buffer holds: ${most}`),
      ...sim.close(),
    ]
  },
)

scenario('what is larger, deeper or heavier than may be fails, and costs no one else', 3, (seed) => {
  const sim = begin(seed, { blocks: 100, bytes: 400_000, depth: 20 })
  const { dags } = sim
  const tooMuch = [dags.flat(200, () => 100), dags.chain(60), dags.flat(50, () => 20_000)]
  const enough = [dags.flat(80, () => 100), dags.chain(15), dags.flat(50, () => 4_000)]
  const run = (n: number, dag: (typeof tooMuch)[number]) => {
    const address = `10.0.1.${n}`
    const browser = sim.addBrowser(address, browsers.jsIpfs)
    browser.add(dag)
    browser.connect()
    return sim.call(address, dag)
  }
  const refused = tooMuch.map((dag, n) => run(n, dag))
  const taken = enough.map((dag, n) => run(10 + n, dag))
  sim.finish(120_000)
  return [
    ...expectThat(
      refused.every((call) => call.outcome === 'limit'),
      `too much is refused, not ${refused.map((call) => call.outcome)}`,
    ),
    ...expectThat(
      taken.every((call) => call.done),
      `the others end well, not ${taken.map((call) => call.outcome)}`,
    ),
    ...sim.close(),
  ]
})

scenario('an address that has used up what it may have joins what another one asked for', 2, (seed) => {
  const sim = begin(seed, { blocksPerAddress: 150 })
  const { world, dags } = sim
  const [large, victims] = [dags.flat(140, () => 100), dags.flat(100, () => 100)]
  const hog = sim.addBrowser('10.0.0.2', browsers.jsIpfs)
  hog.add(large, (index) => index !== [...large.indices].at(-1))
  hog.connect()
  sim.call('10.0.0.2', large)
  world.pass(5_000)
  const browser = sim.addBrowser(home, browsers.jsIpfs)
  browser.add(victims)
  const call = sim.call(home, victims)
  const joined = sim.call('10.0.0.2', victims)
  world.pass(500)
  browser.connect()
  world.run(20_000, () => !call.open)
  hog.add(large)
  sim.finish(120_000)
  return [...expectThat(call.done && joined.done, `both end well, not ${call.outcome}`), ...sim.close()]
})

scenario('floods of calls, from one address and from many: others are still served', 2, (seed) => {
  const sim = begin(seed, { callsPerMinute: 120, callsPerAddress: 16, callsTotal: 200, waitMs: 10_000 })
  const { world, dags } = sim
  const nobodys = range(400).map(() => dags.flat(1, () => 10))
  const one = nobodys.map((dag) => sim.call('10.6.6.6', dag))
  const many = nobodys.map((dag, n) => sim.call(`10.7.${n % 20}.1`, dag))
  const honest = range(10).map((n) => {
    const dag = dags.any(20)
    const browser = sim.addBrowser(`10.0.0.${n}`, browsers.jsIpfs)
    browser.add(dag)
    browser.connect()
    return sim.call(`10.0.0.${n}`, dag)
  })
  const { calls, flights } = { calls: sim.relay.gauges.refs, flights: sim.relay.leftovers['flights'] ?? 0 }
  world.pass(5_000)
  const served = honest.filter((call) => call.done).length
  sim.finish(120_000)
  const taken = one.filter((call) => call.refusal === undefined).length
  const late = sim.call(
    '10.6.6.6',
    dags.flat(1, () => 10),
  )
  const refusals = [...one, ...many].flatMap(({ refusal }) => refusal ?? [])
  sim.finish(120_000)
  return [
    ...expectThat(calls <= 200 && flights <= 400, `no more than may be at once, not ${calls} and ${flights}`),
    ...expectThat(taken === 16, `16 of one address, not ${taken}`),
    ...expectThat(served === 10, `ten others are served at once, not ${served}`),
    ...expectThat(
      refusals.every(({ retryAfterMs }) => retryAfterMs > 0),
      'who is refused hears when to come again',
    ),
    ...expectThat(late.refusal === undefined, 'and may then'),
    ...sim.close(),
  ]
})

scenario('one caller reads slowly, or goes without having read: the others get everything', 2, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.flat(4_000, () => 8)
  const browser = sim.addBrowser(home, browsers.boxo)
  browser.add(dag)
  browser.connect()
  const goes = seed % 2 === 0
  const slow = sim.call(home, dag, { readsAfterMs: 70_000, ...(goes && { abortAfterMs: 30_000 }) })
  const quick = sim.call('10.0.0.2', dag)
  world.pass(20_000)
  const late = sim.call('10.0.0.3', dag)
  sim.finish(300_000)
  const tookMs = (quick.endedMs ?? 0) - quick.startedMs
  return [
    ...expectThat(quick.done && late.done, `the others end well, not with ${quick.outcome}, ${late.outcome}`),
    ...expectThat(goes ? slow.aborted : slow.done, `the slow one goes its own way: ${slow.outcome}`),
    ...expectThat(!goes || tookMs < 60_000, `nobody waits for who has left: ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('a caller has a time limit of its own; the work goes on for the others', 3, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const dag = dags.any(40)
  const hasty = sim.call(home, dag, { timeoutMs: 1_500 })
  const patient = sim.call(home, dag)
  const browser = sim.addBrowser(home, browsers.jsIpfs)
  browser.add(dag)
  world.after(3_000, () => browser.connect())
  sim.finish(60_000)
  const tookMs = (hasty.endedMs ?? 0) - hasty.startedMs
  return [
    ...expectThat(
      hasty.outcome === 'timeout' && tookMs < 1_600,
      `its time is over: ${hasty.outcome}, ${tookMs} ms`,
    ),
    ...expectThat(patient.done, `the other ends well, not with ${patient.outcome}`),
    ...sim.close(),
  ]
})

scenario('backends want thousands of things of their own: what is kept is bounded', 1, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const flood = range(12_000).map(() => dags.leaf(8).index)
  const dag = dags.any(40)
  const browser = sim.addBrowser(home, browsers.jsIpfs)
  browser.add(dag)
  browser.connect()
  for (const node of sim.nodes) {
    for (const n of range(50))
      world.after(n * 100, () => node.wonder(flood.slice(n * 240, (n + 1) * 240), 20_000))
  }
  world.pass(4_000)
  const call = sim.call(home, dag)
  sim.finish(60_000)
  world.pass(30_000)
  const left = sim.nodes.reduce((sum, { backend }) => sum + backend.relayed.wants.size, 0)
  const { ignored } = sim.relay.counters.backWants
  return [
    ...expectThat(ignored >= 2 * 4 * 12_000, `each want on each lane is heard: ${ignored}`),
    ...expectThat(sim.mostBackWants <= 8_192 + 100, `so many are kept of a backend: ${sim.mostBackWants}`),
    ...expectThat(left === 0, `what is taken back is forgotten, not ${left}`),
    ...expectThat(call.done, `what is granted is served meanwhile, not ${call.outcome}`),
    ...sim.close(),
  ]
})

scenario('the edge stops: callers hear so, nothing goes on', 2, (seed) => {
  const sim = begin(seed)
  const { world, dags } = sim
  const calls = range(5).map((n) => sim.call(`10.0.0.${n}`, dags.any(20)))
  world.pass(2_000)
  sim.relay.drain()
  const refused = sim.call(home, dags.any(20))
  world.pass(1_000)
  const open = calls.filter((call) => call.open).length
  sim.relay.stop()
  const running = sim.nodes.reduce((sum, node) => sum + node.running.size, 0)
  return [
    ...expectThat(refused.outcome === 'refused: draining', `new ones are refused, not ${refused.outcome}`),
    ...expectThat(open === 5, `what was accepted goes on, not ${open}`),
    ...expectThat(
      calls.every((call) => call.outcome === 'draining'),
      'until the stop',
    ),
    ...expectThat(running === 0, `backends hear so as well, not ${running}`),
    ...sim.close(),
  ]
})
