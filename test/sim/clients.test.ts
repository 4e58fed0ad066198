import { Content, cidOf } from '#test/sim/content.ts'
import { expectThat, range, scenario } from '#test/sim/seeds.ts'
import { manners, SimClient } from '#test/sim/sim-client.ts'
import { defaultOptions, Simulation } from '#test/sim/simulation.ts'
import type { WireEntry } from '#test/support/wire.ts'

/** Clients that ask for too much, read too little, or play with the protocol. */

const MiB = 1024 * 1024
const want = { priority: 1, cancel: false, have: false, sendDontHave: false }

function cancelled(entries: readonly WireEntry[]): WireEntry[] {
  return entries.map((entry) => ({ ...entry, cancel: true }))
}

scenario('two hundred clients that do not read', 2, (seed) => {
  const total = 64 * MiB
  const sim = new Simulation(seed, () => new Content(100, () => 256 * 1024), {
    ...defaultOptions,
    client: { ...defaultOptions.client, bufferBytesTotal: total },
  })
  sim.addBackend('a', () => true)
  const slow = range(200).map(() => {
    const client = new SimClient(sim, { ...manners.raw, window: 30, perMessage: 30 }, range(30))
    client.reading = false
    client.connect()
    return client
  })
  sim.clients.push(...slow)
  sim.world.pass(3_000)
  const held = sim.mostOutboxBytes
  const reader = sim.addClient(manners.jsIpfs, range(50, 30))
  sim.world.run(20_000, () => reader.done)
  const served = reader.done
  for (const client of slow) client.reading = true
  sim.finish()
  return [
    ...expectThat(held < total * 1.25 + 200 * 257 * 1024, `what is held is bounded, not ${held} bytes`),
    ...expectThat(sim.relay.counters.deferredBlocks < 500, 'hardly a block is asked for in vain'),
    ...expectThat(served, 'a client that reads is served meanwhile'),
    ...expectThat(
      slow.every((client) => client.got.size === 30),
      'who reads at last gets everything',
    ),
    ...sim.close(),
  ]
})

scenario('a client whose blocks turn out larger than they were', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(560, (index) => (index < 500 ? 100 : MiB)), {
    ...defaultOptions,
    client: { ...defaultOptions.client, bufferBytes: 4 * MiB },
  })
  sim.addBackend('a', () => true)
  const client = sim.addClient({ ...manners.raw, forms: ['v0'] }, range(500))
  sim.finish()
  client.reading = false
  client.plan.push(...range(60, 500))
  client.fill()
  sim.world.pass(5_000)
  const held = sim.mostOutboxBytes
  client.reading = true
  sim.finish()
  return [
    ...expectThat(held <= 5.1 * MiB, `the buffer's limit holds: ${held}`),
    ...expectThat(sim.relay.counters.deferredBlocks > 0, 'what did not fit was asked for again'),
    ...expectThat(client.got.size === 560, 'everything comes at last'),
    ...sim.close(),
  ]
})

scenario('a hundred thousand wants in one message', 1, (seed) => {
  const sim = new Simulation(seed, () => new Content(100_000, () => 40))
  sim.addBackend('a', () => true)
  const client = sim.addClient(manners.raw, [])
  client.send({ entries: range(100_000).map((index) => client.want(index, 'v1-raw')) })
  sim.world.pass(30_000)
  const { wantsEnded, refusedClient } = sim.relay.counters
  return [
    ...expectThat(wantsEnded.block === 16_384, `what may be held is answered: ${wantsEnded.block}`),
    ...expectThat(refusedClient['too-many-wants'] === 100_000 - 16_384, 'the rest is refused, with a reason'),
    ...expectThat(client.got.size === 16_384, 'and got'),
    ...sim.close(),
  ]
})

scenario('floods of wants and cancels', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(2_000, () => 3_000))
  sim.addBackend('a', (index) => index < 1_000)
  sim.addBackend('b', () => false)
  const flood = sim.addClient({ ...manners.jsIpfs, overtaking: false }, [])
  const honest = sim.addClient(manners.helia, range(1_000))
  const entries = range(2_000).map((index) => ({ ...want, cid: cidOf(sim.content.get(index), 'v0') }))
  for (let n = 0; n < 20; n++) {
    sim.world.after(n * 10, () => {
      for (const index of range(2_000)) flood.want(index, 'v0')
      flood.open.clear()
      flood.send({ entries: [...entries, ...cancelled(entries)] })
      flood.send({ entries })
      flood.send({ entries: cancelled(entries) })
    })
  }
  sim.world.pass(2_000)
  sim.finish()
  const { wants, pending } = sim.relay.gauges
  return [
    ...expectThat(wants === 0 && pending === 0, `nothing stays: ${wants} wants, ${pending} pending`),
    ...expectThat(honest.got.size === 1_000, 'another client is served'),
    ...sim.close(),
  ]
})

scenario('full wantlists replace what was wanted', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(3_000, () => 500))
  sim.addBackend('a', () => false)
  const client = sim.addClient(manners.jsIpfs, [])
  for (let n = 0; n < 30; n++) {
    const entries = range(100, n * 100).map((index) => client.want(index, 'v1-raw'))
    client.send({ full: true, entries })
  }
  sim.world.pass(5_000)
  const { wants, pending } = sim.relay.gauges
  client.send({ full: true, entries: [] })
  sim.world.pass(1_000)
  client.open.clear()
  return [
    ...expectThat(
      wants === 100 && pending === 100,
      `one list is held, not ${wants} wants, ${pending} pending`,
    ),
    ...expectThat(sim.relay.gauges.wants === 0, 'an empty list clears it'),
    ...sim.close(),
  ]
})

scenario('one block by all its names, at one client and at several', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(50, () => 5_000))
  sim.steady = true
  sim.addBackend('a', () => true)
  const clients = [manners.jsIpfs, manners.boxo, manners.raw].map((manner) => sim.addClient(manner, []))
  for (const client of clients) {
    const entries = range(50).flatMap((index) =>
      (['v0', 'v1-raw', 'v1-dag-pb'] as const).map((form) => client.want(index, form)),
    )
    client.send({ entries })
  }
  sim.finish(5_000)
  return [...expectThat(sim.verdicts.answered === 450, 'each name is answered'), ...sim.close()]
})

scenario('a want-have that becomes a want-block at any moment', 4, (seed) => {
  const sim = new Simulation(seed, () => new Content(200, () => 3_000), { ...defaultOptions, cacheBytes: 0 })
  sim.steady = true
  sim.addBackend('a', (index) => index % 2 === 0)
  sim.addBackend('b', (index) => index % 2 === 1)
  sim.addBackend('c', () => false)
  const client = sim.addClient(manners.boxo, [])
  for (const index of range(200)) {
    const entry = client.want(index, 'v1-raw')
    client.send({ entries: [entry] })
    sim.world.after(sim.world.integer(0, 40), () => client.send({ entries: [{ ...entry, have: false }] }))
  }
  sim.finish(5_000)
  return [...expectThat(client.got.size === 200, 'each block comes'), ...sim.close()]
})

scenario('answers that cost us nothing are bounded for who does not read', 1, (seed) => {
  const sim = new Simulation(seed, () => new Content(300, (index) => (index < 100 ? 4 : 2_000)))
  sim.addBackend('a', () => true)
  sim.addClient(manners.raw, range(300))
  sim.finish()
  const blind = new SimClient(sim, { ...manners.boxo, sendDontHave: false }, [])
  sim.clients.push(blind)
  blind.reading = false
  blind.connect()
  const name = (index: number): Uint8Array => cidOf(sim.content.get(index), 'v1-raw')
  for (const index of range(300)) blind.want(index, 'v1-raw')
  // Everything is in the cache: a HAVE for each want-have, a few bytes for each want-block.
  const haves = range(200, 100).map((index) => ({ ...want, have: true, cid: name(index) }))
  const blocks = range(100).map((index) => ({ ...want, cid: name(index) }))
  for (let n = 0; n < 3_000; n++) blind.send({ entries: n % 2 === 0 ? haves : blocks })
  sim.world.pass(5_000)
  const { wantsEnded } = sim.relay.counters
  const outboxBytes = sim.mostOutboxBytes
  blind.open.clear()
  return [
    ...expectThat(wantsEnded.have < 5_000, `HAVEs wait to be read: ${wantsEnded.have}`),
    ...expectThat(wantsEnded.block < 150_000, `tiny blocks weigh more than their bytes: ${wantsEnded.block}`),
    ...expectThat(outboxBytes <= 20 * MiB, `and count: ${outboxBytes}`),
    ...sim.close(),
  ]
})

scenario('clients with limits of bandwidth and wants', 2, (seed) => {
  const client = { ...defaultOptions.client, bytesPerSecond: 1_000_000, wantsPerSecond: 100 }
  const sim = new Simulation(seed, () => new Content(300, () => 10_000), { ...defaultOptions, client })
  sim.addBackend('a', () => true)
  const limited = sim.addClient({ ...manners.raw, window: 300, perMessage: 50 }, range(300))
  sim.finish(20_000)
  const tookMs = sim.world.now()
  return [
    ...expectThat(limited.got.size === 300, 'everything comes'),
    ...expectThat(tookMs > 1_900 && tookMs < 6_000, `3 MB at 1 MB/s, 300 wants at 100/s: ${tookMs} ms`),
    ...sim.close(),
  ]
})

scenario('draining', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(200, () => 50_000))
  const backend = sim.addBackend('a', () => true)
  const client = sim.addClient({ ...manners.raw, forms: ['v0'], window: 50, bytesPerMs: 100 }, range(50))
  sim.world.run(1_000, () => sim.relay.gauges.pending === 50)
  sim.relay.drain()
  backend.downLane(1)
  const idleAtFirst = sim.relay.idle
  const late = sim.addClient({ ...manners.jsIpfs, forms: ['v0'] }, range(10, 100))
  sim.world.pass(100)
  sim.world.run(60_000, () => sim.relay.idle)
  sim.world.pass(100)
  return [
    ...expectThat(!idleAtFirst, 'there is work when it begins'),
    ...expectThat(client.got.size === 50, `what was accepted is finished: ${client.got.size}`),
    ...expectThat(late.got.size === 0, 'nothing new is taken'),
    ...expectThat(sim.relay.counters.refusedClient.draining === 10, 'and that is counted'),
    ...sim.close(),
  ]
})

scenario('ten clients with long lists share full backends', 2, (seed) => {
  const sim = new Simulation(seed, () => new Content(30_000, () => 600), {
    ...defaultOptions,
    lanes: 1,
    cacheBytes: 0,
  })
  sim.addBackend('a', () => true, { latencyMs: () => 20 })
  const clients = range(10).map((n) =>
    sim.addClient({ ...manners.raw, window: 3_000, perMessage: 3_000 }, range(3_000, n * 3_000)),
  )
  sim.world.run(60_000, () => clients.some((client) => client.got.size >= 2_500))
  const got = clients.map((client) => client.got.size)
  sim.finish()
  return [
    // The first one there has the backend to itself at first.
    ...expectThat(Math.max(...got) - Math.min(...got) < 1_000, `equal turns: ${got.join(' ')}`),
    ...sim.close(),
  ]
})

scenario('names that Kubo would refuse never reach a backend', 1, (seed) => {
  const sim = new Simulation(seed, () => new Content(1, () => 500))
  sim.addBackend('a', () => true)
  const client = sim.addClient(manners.raw, [])
  const { digest } = sim.content.get(0)
  const heads = [
    [1, 0xd5, 0, 0x12, 0x20], // codec not minimal
    [0x81, 0, 0x55, 0x12, 0x20], // version not minimal
    [1, 0x55, 0x92, 0, 0x20], // hash code not minimal
    [1, 0x55, 0x12, 0xa0, 0], // digest length not minimal
    [2, 0x55, 0x12, 0x20], // no such version
  ]
  client.send({ entries: heads.map((head) => ({ ...want, cid: Uint8Array.from([...head, ...digest]) })) })
  sim.world.pass(1_000)
  return [
    ...expectThat(sim.verdicts.asks === 0, 'no ask'),
    ...expectThat(sim.relay.counters.refusedClient['bad-cid'] === 5, 'each is counted'),
    ...sim.close(),
  ]
})
