import { expect, test } from 'bun:test'
import { Buffers } from '#src/relay/buffers.ts'
import { Counters } from '#src/relay/counters.ts'
import type { Grant } from '#src/relay/preload/grant.ts'
import { Grants } from '#src/relay/preload/grants.ts'
import type { Pull } from '#src/relay/preload/pull.ts'
import { Sourcing } from '#src/relay/preload/sourcing.ts'
import { Supplier } from '#src/relay/preload/supplier.ts'
import { multihash, readyBackend } from '#test/unit/relay/fixture.ts'
import { accountOf, limits, pullOf, rootOf, StandingClock } from '#test/unit/relay/preload/preload-fixture.ts'

const backend = readyBackend()

/** A grant for `home`, and whoever is there. */
class Scene {
  readonly clock = new StandingClock()
  readonly grants = new Grants(limits())
  readonly supplies = new Buffers(64e6, 64e6)
  readonly counters = new Counters()
  readonly sourcing = new Sourcing(this)
  readonly home = accountOf('home')
  readonly grant: Grant

  constructor() {
    this.grant = this.grants.create(rootOf(0), 0)
    this.grants.join(this.grant, this.home)
  }

  /** A client arrives. */
  client(options: { tells?: boolean; at?: string } = {}): Supplier {
    const supplier = new Supplier({ wake() {} }, this.supplies)
    supplier.tellsPresence = options.tells === true
    this.sourcing.arrived(supplier, options.at ?? 'home')
    return supplier
  }

  /** A backend wants a block under grants, by default that of `home`. */
  pull(n: number, ...grants: readonly Grant[]): Pull {
    const pull = pullOf(n, backend)
    for (const grant of grants.length > 0 ? grants : [this.grant]) {
      pull.grants.add(grant)
      grant.pulls.add(pull)
    }
    this.sourcing.advance(pull)
    return pull
  }

  end(pull: Pull): void {
    for (const grant of pull.grants) grant.pulls.delete(pull)
    this.sourcing.end(pull)
  }

  deliver(pull: Pull, supplier: Supplier, bytes = 100): void {
    this.sourcing.delivered(pull, supplier, bytes)
    this.end(pull)
    this.sourcing.heard(supplier)
  }

  pass(ms: number): void {
    for (const endMs = this.clock.nowMs + ms; this.clock.nowMs < endMs; ) {
      this.clock.nowMs += 50
      this.sourcing.tick(this.clock.nowMs)
    }
  }
}

/** What a pull asks of some clients now: `block`, `have`, with `slow` or a verdict, or nothing. */
function asked(pull: Pull, ...suppliers: readonly Supplier[]): (string | undefined)[] {
  return suppliers.map((supplier) => {
    const ask = pull.asks.get(supplier)
    return ask && [ask.kind, ...(ask.slow ? ['slow'] : []), ...(ask.verdict ? [ask.verdict] : [])].join(' ')
  })
}

test('the only client there is asked for the block, also when it arrives later', () => {
  const scene = new Scene()
  const early = scene.pull(1)
  const client = scene.client({ tells: true })
  expect(asked(early, client)).toEqual(['block'])
  expect(asked(scene.pull(2), client)).toEqual(['block'])
})

test('those who tell what they have are asked that, and the first who has it for the block', () => {
  const scene = new Scene()
  const [a, b] = [scene.client({ tells: true }), scene.client({ tells: true })]
  const pull = scene.pull(1)
  expect(asked(pull, a, b)).toEqual(['have', 'have'])
  scene.sourcing.presence(pull, b, false)
  expect(asked(pull, a, b)).toEqual(['have', 'have dont-have'])
  scene.sourcing.presence(pull, a, true)
  expect(asked(pull, a, b)).toEqual(['block', 'have dont-have'])
})

test('HAVE in answer to a want for the block changes nothing', () => {
  const scene = new Scene()
  const client = scene.client()
  const pull = scene.pull(1)
  scene.sourcing.presence(pull, client, true)
  expect(asked(pull, client)).toEqual(['block'])
  expect(client.open).toBe(1)
})

test('the others are asked one after the other, the latest to come first, then more at a time', () => {
  const scene = new Scene()
  const clients = Array.from({ length: 20 }, () => scene.client()).reverse()
  const pull = scene.pull(1)
  const counts = [0, 1, 2, 3, 4, 5, 6].map(() => {
    const count = pull.asks.size
    scene.pass(250)
    return count
  })
  expect(counts).toEqual([1, 2, 3, 4, 6, 14, 20])
  expect(asked(pull, clients[0] as Supplier, clients[1] as Supplier)).toEqual(['block slow', 'block slow'])
})

test('who said that it has not got it is not waited for, and asked again after a while', () => {
  const scene = new Scene()
  const [a, b] = [scene.client(), scene.client()]
  const pull = scene.pull(1)
  scene.sourcing.presence(pull, b, false)
  expect(asked(pull, a, b)).toEqual(['block', 'block dont-have'])
  scene.sourcing.presence(pull, a, false)
  scene.pass(4_900)
  expect(asked(pull, a, b)).toEqual(['block dont-have', 'block dont-have'])
  scene.pass(100)
  expect(asked(pull, a, b)).not.toEqual(['block dont-have', 'block dont-have'])
})

test('who brought the last block is asked first for the next, and given time', () => {
  const scene = new Scene()
  const clients = [scene.client(), scene.client({ tells: true }), scene.client()]
  const [source, ...others] = clients as [Supplier, Supplier, Supplier]
  scene.pass(1)
  const first = scene.pull(1)
  scene.pass(1_000)
  scene.deliver(first, source)
  const next = scene.pull(2)
  expect(asked(next, source, ...others)).toEqual(['block', undefined, undefined])
  scene.pass(4_900)
  expect(asked(next, source, ...others)).toEqual(['block', undefined, undefined])
  scene.pass(200)
  expect(asked(next, source, ...others)).toEqual(['block slow', 'have', 'block'])
})

test('a source that is heard of has more time; one that lies has none', () => {
  const scene = new Scene()
  const [source, other] = [scene.client(), scene.client()] as [Supplier, Supplier]
  scene.deliver(scene.pull(1), source)
  const next = scene.pull(2)
  for (let n = 0; n < 5; n++) {
    scene.pass(4_000)
    scene.sourcing.heard(source)
  }
  expect(asked(next, source, other)).toEqual(['block', undefined])
  source.lies = 8
  scene.sourcing.heard(source)
  // It was given until five seconds after it was last heard.
  scene.pass(5_050)
  expect(asked(next, other)).toEqual(['block'])
})

test('a source is asked for its own address only: what it brought for two is not what it may have of both', () => {
  const scene = new Scene()
  const elsewhere = scene.grants.create(rootOf(1), 0)
  scene.grants.join(elsewhere, accountOf('elsewhere'))
  const [here, there] = [scene.client(), scene.client({ at: 'elsewhere' })]
  const shared = scene.pull(1, scene.grant, elsewhere)
  scene.deliver(shared, here)
  expect([scene.grant.source, elsewhere.source]).toEqual([here, undefined])
  expect(asked(scene.pull(2, elsewhere), here, there)).toEqual([undefined, 'block'])
})

test('a source whose address has no call any more is not asked for the next', () => {
  const scene = new Scene()
  const office = accountOf('office')
  scene.grants.join(scene.grant, office)
  const [here, there] = [scene.client(), scene.client({ at: 'office' })]
  scene.deliver(scene.pull(1), there)
  expect(scene.grant.source).toBe(there)
  scene.grants.part(scene.grant, office)
  expect(asked(scene.pull(2), here, there)).toEqual(['block', undefined])
})

test('a client at no address of a grant is never asked', () => {
  const scene = new Scene()
  const stranger = scene.client({ at: 'elsewhere' })
  const pull = scene.pull(1)
  scene.pass(60_000)
  expect(asked(pull, stranger)).toEqual([undefined])
  scene.sourcing.arrived(stranger, 'home')
  expect(asked(pull, stranger)).toEqual(['block'])
})

test('who may not be asked any more is told, and leaves the lines', () => {
  const scene = new Scene()
  const office = accountOf('office')
  const [here, there] = [scene.client(), scene.client({ at: 'office' })]
  scene.grants.join(scene.grant, office)
  const pull = scene.pull(1)
  scene.pass(300)
  expect(asked(pull, here, there)).toEqual(['block slow', 'block'])
  scene.supplies.usedBytes = 64e6
  const waiting = scene.pull(2)
  expect(waiting.standsAt).toBe(here)
  scene.grants.part(scene.grant, scene.home)
  for (const each of [pull, waiting]) scene.sourcing.review(each)
  expect(asked(pull, here, there)).toEqual([undefined, 'block'])
  expect(waiting.standsAt).toBe(there)
})

test('a client leaves: what it was asked for is asked of others, and nothing of it stays', () => {
  const scene = new Scene()
  const [a, b] = [scene.client(), scene.client()]
  const pull = scene.pull(1)
  expect(asked(pull, b)).toEqual(['block'])
  scene.sourcing.left(b)
  expect(asked(pull, a, b)).toEqual(['block', undefined])
  scene.sourcing.left(a)
  expect([pull.asks.size, scene.supplies.reservedBytes]).toEqual([0, 0])
  scene.end(pull)
  expect(scene.sourcing.size).toBe(0)
})

test('what a client cannot take now stands in one line, and moves up as it answers', () => {
  const scene = new Scene()
  const client = scene.client()
  const pulls = Array.from({ length: 100 }, (_, n) => scene.pull(n))
  expect([client.open, client.line.size]).toEqual([32, 68])
  for (const pull of pulls.slice(0, 10)) scene.deliver(pull, client, 256 * 1024)
  expect([client.open, client.line.size]).toEqual([32, 58])
  for (const pull of pulls.slice(10)) scene.end(pull)
  scene.pass(50)
  expect([client.open, client.line.size, client.asks.size]).toEqual([0, 0, 0])
  scene.sourcing.left(client)
  expect([scene.sourcing.size, scene.supplies.reservedBytes]).toEqual([0, 0])
})

test('while backends take nothing, clients are asked for nothing', () => {
  const scene = new Scene()
  const client = scene.client()
  scene.supplies.usedBytes = 64e6
  const pull = scene.pull(1)
  scene.pass(10_000)
  expect(asked(pull, client)).toEqual([undefined])
  scene.supplies.usedBytes = 0
  scene.pass(50)
  expect(asked(pull, client)).toEqual(['block'])
})

test('a flood of pulls leaves a client with no more asks than it keeps, and forgets none', () => {
  const scene = new Scene()
  const [a, b] = [scene.client({ tells: true }), scene.client({ tells: true })]
  const pulls = Array.from({ length: 2_000 }, (_, n) => scene.pull(n))
  let most = 0
  for (let n = 0; n < 400; n++) {
    scene.pass(50)
    most = Math.max(most, a.asks.size, b.asks.size)
  }
  expect(most).toBe(768)
  // Each pull's turn comes round: what is asked for is denied, until everyone was asked.
  const had = new Set<Pull>()
  for (let n = 0; n < 2_000 && had.size < pulls.length; n++) {
    for (const { pull, verdict } of [...a.asks.values()]) {
      had.add(pull)
      if (verdict === undefined) scene.sourcing.presence(pull, a, false)
    }
    scene.pass(50)
  }
  expect(had.size).toBe(2_000)
  for (const pull of pulls) scene.end(pull)
  for (const client of [a, b]) scene.sourcing.left(client)
  expect([scene.sourcing.size, scene.supplies.reservedBytes]).toEqual([0, 0])
})

test('a pull for which nobody has a place is the next to get one', () => {
  const scene = new Scene()
  const clients = [scene.client({ tells: true }), scene.client({ tells: true })]
  const [a, b] = clients as [Supplier, Supplier]
  const pulls = Array.from({ length: 769 }, (_, n) => scene.pull(n))
  const last = pulls.at(-1) as Pull
  expect(asked(last, a, b)).toEqual([undefined, undefined])
  for (const pull of pulls.slice(0, 2)) scene.end(pull)
  expect(asked(last, a, b).filter(Boolean)).toEqual(['block'])
})

test('a pull that ends takes back what it asked', () => {
  const scene = new Scene()
  const [a, b] = [scene.client({ tells: true }), scene.client()]
  const pull = scene.pull(1)
  expect(asked(pull, a, b)).toEqual(['have', 'block'])
  for (const client of [a, b]) client.take()
  scene.end(pull)
  expect([a.take() !== undefined, b.take() !== undefined]).toEqual([true, true])
  expect([a.asks.size, b.asks.size, b.wasAsked(multihash(1))]).toEqual([0, 0, true])
})
