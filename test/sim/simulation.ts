import { digestOf, knowsHash } from '#src/content/digest.ts'
import { Relay, type RelayDeps, type RelayOptions, tickMs } from '#src/relay/relay.ts'
import type { Content } from '#test/sim/content.ts'
import { SimBackend, type SimBackendOptions } from '#test/sim/sim-backend.ts'
import { type ClientManner, SimClient } from '#test/sim/sim-client.ts'
import type { SimGateway } from '#test/sim/sim-gateway.ts'
import { Verdicts } from '#test/sim/verdicts.ts'
import { World } from '#test/sim/world.ts'
import { roomyPreload } from '#test/support/relay-options.ts'

const MiB = 1024 * 1024

export const defaultOptions: RelayOptions = {
  client: {
    wants: 16_384,
    wantsPerSecond: Number.POSITIVE_INFINITY,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    fetchesPerMinute: 600,
    bufferBytes: 16 * MiB,
    bufferBytesTotal: 256 * MiB,
  },
  cacheBytes: 8 * MiB,
  miss: { mode: 'dont-have', timeoutMs: 30_000, concurrency: 64, answerAfterMs: 1_000 },
  preload: roomyPreload,
  lanes: 4,
}

/** A relay with peers on both sides, driven by a world's time; at the end nothing may be left of any of it. */
export class Simulation {
  readonly world: World
  readonly content: Content
  readonly relay: Relay
  readonly verdicts = new Verdicts()
  readonly backends: SimBackend[] = []
  readonly clients: SimClient[] = []
  readonly states: string[] = []
  wants = 0
  slowestMs = 0
  /** The most that the relay ever held, over all ticks. */
  mostOutboxBytes = 0
  mostPending = 0
  /** Blocks that browsers brought: they are on their way to a backend. */
  readonly brought = new Set<number>()
  /** Backends never change what they have nor fail: DONT_HAVE of what one has is then a lie. */
  steady = false

  constructor(
    seed: number,
    makeContent: (world: World) => Content,
    options: RelayOptions = defaultOptions,
    hooks: Partial<Pick<RelayDeps, 'linksOf' | 'reach'>> = {},
  ) {
    this.world = new World(seed)
    this.content = makeContent(this.world)
    this.relay = new Relay(
      {
        clock: this.world,
        digestOf,
        knowsHash,
        linksOf: () => [],
        observer: {
          backendState: (name, state) => this.states.push(`${this.world.now()} ${name} ${state}`),
          gatewayState: (name, state) => this.states.push(`${this.world.now()} ${name} ${state}`),
          preloadTrouble: (name, what, reason) =>
            this.states.push(`${this.world.now()} ${name} ${what} ${reason}`),
        },
        reach() {},
        ...hooks,
      },
      options,
    )
    this.world.every(tickMs, () => {
      this.relay.tick()
      const { outboxBytes, pending } = this.relay.gauges
      this.mostOutboxBytes = Math.max(this.mostOutboxBytes, outboxBytes)
      this.mostPending = Math.max(this.mostPending, pending)
    })
  }

  /** Adds a backend that has the blocks `holds` picks, and connects it. */
  addBackend(
    name: string,
    holds: (index: number) => boolean,
    options: Partial<Pick<SimBackendOptions, 'manner' | 'withRpc' | 'latencyMs' | 'rpc' | 'wanting'>> & {
      readonly gateway?: SimGateway
    } = {},
  ): SimBackend {
    const { gateway, ...rest } = options
    const rpc = gateway === undefined ? rest.rpc : { ...rest.rpc, gateway: gateway.read }
    const backend = new SimBackend(name, { ...this, ...rest, ...(rpc && { rpc }) })
    if (gateway !== undefined) gateway.backend = backend
    for (const { index } of this.content.blocks) if (holds(index)) backend.add(index)
    this.backends.push(backend)
    backend.up()
    return backend
  }

  addClient(manner: ClientManner, plan: readonly number[]): SimClient {
    const client = new SimClient(this, manner, plan)
    this.clients.push(client)
    client.connect()
    return client
  }

  /** Whether a HAVE of the block may be passed on. */
  mayHave(index: number | undefined): boolean {
    if (index === undefined) return false
    if (this.brought.has(index)) return true
    return this.backends.some((backend) => backend.manner.emptyPromises || backend.everHad.has(index))
  }

  /** A client was told DONT_HAVE. */
  told(index: number, _sentMs: number): void {
    if (!this.steady) return
    if (this.backends.some((backend) => backend.has.has(index)))
      this.verdicts.fail('DONT_HAVE of what is there')
  }

  /** Runs until every client has what it wanted; fails after `limitMs`. */
  finish(limitMs = 120_000): void {
    if (this.world.run(limitMs, () => this.clients.every((client) => client.done))) return
    const open = this.clients.reduce((sum, client) => sum + client.open.size, 0)
    const left = this.clients.reduce((sum, client) => sum + client.plan.length, 0)
    this.verdicts.fail(`not answered in time: ${open} wants open, ${left} not asked yet`)
  }

  /** All clients leave; then nothing may be left. Returns what is wrong, nothing when all is well. */
  close(): string[] {
    for (const client of this.clients) client.leave()
    for (const backend of this.backends) backend.wake()
    for (const backend of this.backends) backend.up()
    this.world.pass(30_000)
    const { gauges, leftovers, counters } = this.relay
    const { clients, wants, pending, outboxBytes, missesUnderWay } = gauges
    this.#nothing('gauges', { clients, wants, pending, outboxBytes, missesUnderWay, ...leftovers })
    for (const backend of this.backends) {
      this.#nothing(`backend ${backend.relayed.name}`, {
        outstanding: backend.relayed.outstanding,
        gateway: backend.relayed.gateway?.size ?? 0,
        // What is pushed unasked may cross an ask, whose entry then stays: its sender's own doing.
        ...(!backend.manner.ignoresRepeats && !backend.manner.pushes && { ledger: backend.ledgerSize }),
      })
    }
    const { block, have, cancelled, gone, refused } = counters.wantsEnded
    const unaccounted = counters.wants - (block + have + cancelled + gone + refused)
    this.#nothing('wants', { unaccounted })
    return this.verdicts.failures
  }

  #nothing(what: string, left: Record<string, number>): void {
    for (const [name, value] of Object.entries(left)) {
      if (value !== 0) this.verdicts.fail(`left over at the end: ${what}: ${name} = ${value}`)
    }
  }
}
