import type { CidKey } from '#src/bitswap/cid.ts'
import { decodeMessage } from '#src/bitswap/message.ts'
import type { BackPeer } from '#src/relay/back-peer.ts'
import type { Backend, BackendRpc } from '#src/relay/backend.ts'
import type { FetchResult } from '#src/relay/ports.ts'
import type { Relay } from '#src/relay/relay.ts'
import { fromKey } from '#src/util/bytes.ts'
import { BackendLedger, type BackendManner } from '#test/sim/backend-ledger.ts'
import type { Content } from '#test/sim/content.ts'
import { Pipe } from '#test/sim/pipe.ts'
import type { Verdicts } from '#test/sim/verdicts.ts'
import type { World } from '#test/sim/world.ts'

/**
 * A node behind the relay: its content, its ledger of each lane, and the ways in which it fails. Answers go
 * on a stream each, so they may overtake one another; what it is sent comes in order.
 */
export class SimBackend {
  readonly content: Content
  readonly manner: BackendManner
  readonly has = new Set<number>()
  /** Everything it ever had: nobody may be told HAVE of anything else. */
  readonly everHad = new Set<number>()
  readonly relayed: Backend
  readonly verdicts: Verdicts
  /** Its own wants, where it has any. */
  readonly wanting: Wanting | undefined
  latencyMs: () => number
  /** Answers to a fetch by RPC. */
  rpc: (index: number | undefined) => { afterMs: number; result: FetchResult } = () => ({
    afterMs: 50,
    result: { kind: 'not-found' },
  })
  fetches = 0
  readonly #world: World
  readonly #relay: Relay
  readonly #lanes = new Map<number, LaneSession>()
  #stalled: (() => void)[] | undefined

  constructor(name: string, options: SimBackendOptions) {
    this.#world = options.world
    this.#relay = options.relay
    this.content = options.content
    this.manner = options.manner ?? {}
    this.verdicts = options.verdicts
    this.latencyMs = options.latencyMs ?? (() => 1 + options.world.random() * 4)
    this.relayed = options.relay.addBackend(
      name,
      options.withRpc
        ? { fetch: (cid, ms, done) => this.#fetch(cid, ms, done), ...options.rpc }
        : { ...options.rpc },
    )
    this.wanting = options.wanting
  }

  /** Connects every lane that is down. */
  up(): void {
    for (const { slot } of this.relayed.lanes) this.upLane(slot)
  }

  upLane(slot: number): void {
    if (this.#lanes.has(slot)) return
    this.#lanes.set(slot, new LaneSession(this, slot, this.#world, this.#relay))
    this.wanting?.laneUp(slot)
  }

  /** Loses every connection, as a killed process does. */
  down(): void {
    for (const slot of [...this.#lanes.keys()]) this.downLane(slot)
  }

  downLane(slot: number): void {
    const lane = this.#lanes.get(slot)
    if (lane === undefined) return
    this.#lanes.delete(slot)
    lane.close()
    this.wanting?.laneDown(slot)
  }

  /** Sends a message of its own on a lane; such messages come in order. */
  tell(slot: number, message: Uint8Array): void {
    this.#lanes.get(slot)?.tell(message)
  }

  /** Blocks came on a lane. */
  received(slot: number, blocks: readonly Uint8Array[]): void {
    if (this.wanting === undefined) this.verdicts.fail('a block to a backend that wants none')
    this.wanting?.blocks(slot, blocks)
  }

  get slotsUp(): readonly number[] {
    return [...this.#lanes.keys()]
  }

  get isUp(): boolean {
    return this.#lanes.size > 0
  }

  add(index: number): void {
    this.has.add(index)
    this.everHad.add(index)
    for (const lane of this.#lanes.values()) lane.ledger.gained(index)
  }

  remove(index: number): void {
    this.has.delete(index)
  }

  /** Like SIGSTOP: connected, and silent; what comes waits, and its streams fill. */
  stall(): void {
    this.#stalled ??= []
    for (const lane of this.#lanes.values()) lane.reading = false
  }

  wake(): void {
    const waiting = this.#stalled ?? []
    this.#stalled = undefined
    for (const run of waiting) run()
    for (const lane of this.#lanes.values()) lane.reading = true
  }

  get isStalled(): boolean {
    return this.#stalled !== undefined
  }

  /** Runs it now, or when the process is awake again. */
  whenAwake(run: () => void): void {
    if (this.#stalled === undefined) run()
    else this.#stalled.push(run)
  }

  /** Whether another lane has an open want for the same block: asked twice for nothing. */
  askedElsewhere(index: number, slot: number): boolean {
    for (const lane of this.#lanes.values()) if (lane.slot !== slot && lane.ledger.isOpen(index)) return true
    return false
  }

  /** Entries in the ledgers that it keeps of the lanes. */
  get ledgerSize(): number {
    return [...this.#lanes.values()].reduce((sum, lane) => sum + lane.ledger.size, 0)
  }

  #fetch(cid: CidKey, timeoutMs: number, done: (result: FetchResult) => void): () => void {
    this.fetches++
    const { afterMs, result } = this.rpc(this.content.named(fromKey(cid))?.index)
    let live = true
    this.#world.after(Math.min(afterMs, timeoutMs), () => {
      if (live) done(afterMs > timeoutMs ? { kind: 'timeout' } : result)
      live = false
    })
    return () => {
      live = false
    }
  }
}

export interface SimBackendOptions {
  readonly world: World
  readonly relay: Relay
  readonly content: Content
  readonly verdicts: Verdicts
  readonly manner?: BackendManner
  readonly withRpc?: boolean
  /** What else it can be told by RPC. */
  readonly rpc?: BackendRpc
  readonly wanting?: Wanting
  readonly latencyMs?: () => number
}

/** The other half of a node: as a client of its peers, the lanes among them. */
export interface Wanting {
  laneUp(slot: number): void
  laneDown(slot: number): void
  /** Blocks came on a lane. */
  blocks(slot: number, blocks: readonly Uint8Array[]): void
}

/** One lane's connection. */
class LaneSession {
  readonly slot: number
  readonly ledger: BackendLedger
  readonly #pipe: Pipe
  readonly #node: SimBackend
  readonly #world: World
  readonly #peer: BackPeer
  #open = true
  #arrivesMs = 0

  constructor(node: SimBackend, slot: number, world: World, relay: Relay) {
    this.slot = slot
    this.#node = node
    this.#world = world
    this.ledger = new BackendLedger(node, slot, world, (frame) => {
      world.after(node.latencyMs(), () => this.#deliver(frame))
    })
    this.#pipe = new Pipe(world, {
      take: () => this.#peer.take('1.2'),
      deliver: (frame) => this.ledger.receive(frame),
      latencyMs: node.latencyMs,
    })
    this.#pipe.reading = !node.isStalled
    this.#peer = relay.connectLane(node.relayed, slot, this.#pipe)
  }

  set reading(reading: boolean) {
    this.#pipe.reading = reading
  }

  tell(frame: Uint8Array): void {
    this.#arrivesMs = Math.max(this.#arrivesMs, this.#world.now() + this.#node.latencyMs())
    this.#world.at(this.#arrivesMs, () => this.#deliver(frame))
  }

  #deliver(frame: Uint8Array): void {
    if (!this.#open) return
    this.#node.whenAwake(() => {
      if (!this.#open) return
      const message = decodeMessage(frame)
      if (typeof message === 'string') this.#node.verdicts.fail(`relay cannot read a backend: ${message}`)
      else this.#peer.receive(message)
    })
  }

  close(): void {
    this.#open = false
    this.#pipe.close()
    this.#peer.close()
  }
}
