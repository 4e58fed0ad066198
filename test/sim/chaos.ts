import type { BackendManner } from '#test/sim/backend-ledger.ts'
import { Content, mixedSizes } from '#test/sim/content.ts'
import { expectThat } from '#test/sim/seeds.ts'
import type { SimBackend } from '#test/sim/sim-backend.ts'
import { type ClientManner, manners, type SimClient } from '#test/sim/sim-client.ts'
import { type GatewayManner, SimGateway } from '#test/sim/sim-gateway.ts'
import { defaultOptions, Simulation } from '#test/sim/simulation.ts'
import type { World } from '#test/sim/world.ts'

/** What goes wrong in a run. Every block has an honest backend that has it, and returns whenever it is lost. */
export interface ChaosOptions {
  readonly drops?: boolean
  readonly stalls?: boolean
  readonly liar?: BackendManner
  /** Chance that an honest backend never answers a want. */
  readonly deaf?: number
  /** Two honest backends have gateways like this, and blocks are large. */
  readonly gateway?: GatewayManner
  readonly fickle?: boolean
  /** Blocks come to backends, and leave those that have them twice. */
  readonly moving?: boolean
  /** How much rarer than usual things go wrong. */
  readonly rarer?: number
  readonly blocks?: number
  readonly clients?: number
  readonly wantsPerClient?: number
  /** At least so many wants are sent in all. */
  readonly wants?: number
  readonly small?: boolean
  readonly cacheBytes?: number
}

/** Everything that can go wrong without a gateway. */
export const allAtOnce: ChaosOptions = {
  drops: true,
  stalls: true,
  liar: { wrongBytes: 0.3, emptyPromises: true, pushes: 0.2, deaf: 0.1 },
  deaf: 0.02,
  fickle: true,
  moving: true,
}

/** Runs clients against a pool in which the given things go wrong; returns what should not have been seen. */
export function runChaos(seed: number, options: ChaosOptions): string[] {
  const { blocks = 250, clients = 12, wantsPerClient = 150, deaf = 0 } = options
  const cacheBytes = options.cacheBytes ?? (seed % 2 === 0 ? 0 : 1024 * 1024)
  const sim = new Simulation(seed, (world) => new Content(blocks, sizesOf(world, options)), {
    ...defaultOptions,
    cacheBytes,
    lanes: 1 + (seed % 4),
  })
  const { world } = sim
  const owner = sim.content.blocks.map(() => world.integer(0, 2))
  const gateways: SimGateway[] = []
  const honest = ['a', 'b', 'c'].map((name, n) =>
    sim.addBackend(name, (index) => owner[index] === n || world.chance(0.2), {
      manner: { deaf, ...(n === 2 && { ignoresRepeats: true }) },
      latencyMs: () => (world.chance(0.02) ? 400 : 20) * world.random(),
      ...(options.gateway && n < 2 && { gateway: gatewayOf(sim, options.gateway, gateways) }),
    }),
  )
  if (options.liar) sim.addBackend('liar', (index) => index % 5 === 0, { manner: options.liar })
  for (let n = 0; n < clients; n++) {
    const plan = Array.from({ length: wantsPerClient }, () => world.integer(0, blocks - 1))
    sim.addClient(vary(world.pick(Object.values(manners)), options, n), unrepeated(plan))
  }
  let calm = false
  const unlessCalm = (everyMs: number, run: () => void): void =>
    world.every(everyMs * (options.rarer ?? 1), () => {
      if (!calm) run()
    })
  if (options.drops) unlessCalm(60, () => drop(sim, world.pick(sim.backends)))
  if (options.stalls) unlessCalm(250, () => stall(sim, world.pick(honest)))
  if (options.fickle) unlessCalm(30, () => vanish(sim, world.pick(sim.clients)))
  if (options.moving)
    unlessCalm(10, () => move(honest, owner, world.integer(0, blocks - 1), world.pick([0, 1, 2])))
  world.run(options.wantsPerClient === undefined ? 20_000 : 600_000, () =>
    sim.clients.every((client) => client.done),
  )
  calm = true
  for (const client of sim.clients) {
    client.reading = true
    client.connect()
  }
  for (const backend of sim.backends) {
    backend.wake()
    backend.up()
  }
  sim.finish(300_000)
  const total = sim.clients.reduce((sum, client) => sum + client.got.size, 0)
  const failures = expectThat(total > 0, 'blocks were delivered')
  if (options.gateway) {
    const { found } = sim.relay.counters.gateway
    failures.push(...expectThat(found > 0, 'blocks came by gateways'))
    failures.push(
      ...expectThat(
        gateways.every(({ open }) => open === 0),
        'no request is left at a gateway',
      ),
    )
  }
  const { wants = 0 } = options
  failures.push(...expectThat(sim.wants >= wants, `at least ${wants} wants, not ${sim.wants}`))
  return [...failures, ...sim.close()]
}

function gatewayOf({ world, content }: Simulation, manner: GatewayManner, all: SimGateway[]): SimGateway {
  const gateway = new SimGateway(world, content, manner)
  all.push(gateway)
  return gateway
}

function sizesOf(world: World, { small, gateway }: ChaosOptions): (index: number) => number {
  if (gateway !== undefined)
    return () => (world.chance(0.2) ? world.integer(4, 2_000) : world.integer(65_536, 90_000))
  return small ? () => world.integer(4, 2_000) : mixedSizes(world)
}

/** Wants of one plan come again only after a while, as a client that holds a block does not ask for it. */
function unrepeated(plan: number[]): number[] {
  const seen = new Map<number, number>()
  return plan.filter((index, at) => {
    const last = seen.get(index)
    if (last !== undefined && at - last < 1_000) return false
    seen.set(index, at)
    return true
  })
}

function vary(manner: ClientManner, options: ChaosOptions, n: number): ClientManner {
  if (!options.fickle) return manner
  return { ...manner, changesMind: n % 3 === 0 ? 0.2 : 0, ...(n % 4 === 0 && { bytesPerMs: 500 }) }
}

function drop(sim: Simulation, backend: SimBackend): void {
  const { world } = sim
  if (world.chance(0.5)) {
    const { slot } = world.pick(backend.relayed.lanes)
    backend.downLane(slot)
    world.after(world.integer(1, 300), () => backend.upLane(slot))
  } else {
    backend.down()
    world.after(world.integer(1, 6_000), () => backend.up())
  }
}

function stall({ world }: Simulation, backend: SimBackend): void {
  backend.stall()
  world.after(world.integer(1, 12_000), () => backend.wake())
}

function vanish({ world }: Simulation, client: SimClient): void {
  if (world.chance(0.3)) {
    client.reading = false
    world.after(world.integer(1, 3_000), () => {
      client.reading = true
    })
  } else if (client.connected) {
    client.disconnect()
    world.after(world.integer(1, 1_000), () => {
      client.connect()
    })
  }
}

/** A block goes to a backend; where it was more than one has it, another than its owner loses it. */
function move(honest: readonly SimBackend[], owner: readonly number[], index: number, to: number): void {
  honest[to]?.add(index)
  const from = (to + 1) % honest.length
  if (from !== owner[index]) honest[from]?.remove(index)
}
