import { cidOf, hex } from '#test/sim/content.ts'
import type { Dags } from '#test/sim/dags.ts'
import type { SimBackend, Wanting } from '#test/sim/sim-backend.ts'
import type { World } from '#test/sim/world.ts'
import { encodeWire, type WireEntry } from '#test/support/wire.ts'

/**
 * The half of a simulated Kubo that fetches, as boxo does it: what a session wants first is asked of every peer by
 * want-have; once somebody brought something, the session asks one of those for the block and the others whether they
 * have it. A block that came is cancelled everywhere. What takes long is told to everyone again.
 */

/** Those who want something together, and what they know of who has it. */
export class Session {
  /** Lanes that brought something. */
  readonly peers = new Set<number>()
  readonly wants = new Map<number, () => void>()
  progressMs = 0
}

/** One block that it wants. */
interface Want {
  readonly index: number
  readonly sessions: Set<Session>
  /** On which lanes it was told, and how. */
  readonly told: Map<number, 'have' | 'block'>
}

const idleMs = 1_000
const rebroadcastMs = 30_000

export class SimFetcher implements Wanting {
  /** Blocks that came on a lane although they were had already. */
  surplus = 0
  /** When something that was wanted last came. */
  cameMs = 0
  node!: SimBackend
  readonly #world: World
  readonly #dags: Dags
  readonly #wants = new Map<number, Want>()
  readonly #sessions = new Set<Session>()
  /** What it ever wanted, with when it last began to. */
  readonly wantedMs = new Map<number, number>()
  readonly #outgoing = new Map<number, Map<string, WireEntry>>()

  constructor(world: World, dags: Dags) {
    this.#world = world
    this.#dags = dags
    world.every(idleMs, () => this.#askAgain(false))
    world.every(rebroadcastMs, () => this.#askAgain(true))
  }

  get open(): number {
    return this.#wants.size
  }

  /** Fetches a block for a session; `got` hears when it is there, not from inside. */
  want(session: Session, index: number, got: () => void): void {
    this.#sessions.add(session)
    session.wants.set(index, got)
    const known = this.#wants.get(index)
    const want = known ?? { index, sessions: new Set(), told: new Map() }
    want.sessions.add(session)
    this.#wants.set(index, want)
    this.wantedMs.set(index, this.#world.now())
    this.#ask(session, want)
  }

  /** Nobody needs what the session wants any more. */
  end(session: Session): void {
    this.#sessions.delete(session)
    for (const index of session.wants.keys()) {
      const want = this.#wants.get(index)
      want?.sessions.delete(session)
      if (want !== undefined && want.sessions.size === 0) this.#close(want)
    }
    session.wants.clear()
  }

  /** Forgets everything, as a killed process does. */
  crash(): void {
    for (const session of this.#sessions) session.wants.clear()
    this.#sessions.clear()
    this.#wants.clear()
    this.#outgoing.clear()
  }

  blocks(slot: number, blocks: readonly Uint8Array[]): void {
    for (const bytes of blocks) {
      const block = this.#dags.content.withBytes(bytes)
      if (block === undefined) return this.node.verdicts.fail('wrong bytes at a backend')
      if (!this.wantedMs.has(block.index)) this.node.verdicts.fail('a block that a backend never wanted')
      if (this.node.has.has(block.index)) this.surplus++
      else this.node.add(block.index)
      this.#came(block.index, slot)
    }
  }

  laneUp(slot: number): void {
    const entries: WireEntry[] = []
    for (const want of this.#wants.values()) {
      if ([...want.sessions].every(({ peers }) => peers.size > 0)) continue
      want.told.set(slot, 'have')
      entries.push(this.#entry(want.index, 'have'))
    }
    this.node.tell(slot, encodeWire({ full: true, entries }))
  }

  laneDown(slot: number): void {
    this.#outgoing.delete(slot)
    for (const session of this.#sessions) session.peers.delete(slot)
    for (const want of this.#wants.values()) {
      if (want.told.delete(slot)) for (const session of want.sessions) this.#ask(session, want)
    }
  }

  #came(index: number, slot: number): void {
    const want = this.#wants.get(index)
    if (want === undefined) return
    this.cameMs = this.#world.now()
    const got: (() => void)[] = []
    for (const session of want.sessions) {
      session.peers.add(slot)
      session.progressMs = this.#world.now()
      const done = session.wants.get(index)
      session.wants.delete(index)
      if (done !== undefined) got.push(done)
    }
    this.#close(want)
    for (const done of got) this.#world.after(1, done)
  }

  #close(want: Want): void {
    this.#wants.delete(want.index)
    for (const slot of want.told.keys()) this.#tell(slot, this.#entry(want.index, 'cancel'))
  }

  #ask(session: Session, want: Want): void {
    const [best] = session.peers
    for (const slot of this.node.slotsUp) {
      if (best !== undefined && !session.peers.has(slot)) continue
      const kind = slot === best ? 'block' : 'have'
      const told = want.told.get(slot)
      if (told === kind || told === 'block') continue
      want.told.set(slot, kind)
      this.#tell(slot, this.#entry(want.index, kind))
    }
  }

  /** What takes long goes to everyone: the first of each idle session, or all there is. */
  #askAgain(all: boolean): void {
    const nowMs = this.#world.now()
    for (const session of this.#sessions) {
      if (!all && nowMs - session.progressMs < idleMs) continue
      for (const index of session.wants.keys()) {
        const want = this.#wants.get(index)
        for (const slot of this.node.slotsUp) {
          if (want === undefined || (want.told.has(slot) && !all)) continue
          const kind = want.told.get(slot) ?? 'have'
          want.told.set(slot, kind)
          this.#tell(slot, this.#entry(index, kind))
        }
        if (!all) break
      }
    }
  }

  #tell(slot: number, entry: WireEntry): void {
    const waiting = this.#outgoing.get(slot)
    if (waiting !== undefined) {
      waiting.set(hex(entry.cid), entry)
      return
    }
    const outgoing = new Map([[hex(entry.cid), entry]])
    this.#outgoing.set(slot, outgoing)
    this.#world.after(1 + this.#world.random() * 4, () => {
      if (this.#outgoing.get(slot) !== outgoing) return
      this.#outgoing.delete(slot)
      this.node.tell(slot, encodeWire({ entries: [...outgoing.values()] }))
    })
  }

  #entry(index: number, kind: 'have' | 'block' | 'cancel'): WireEntry {
    const cid = cidOf(this.#dags.content.get(index), this.#dags.formOf(index))
    const cancel = kind === 'cancel'
    return { cid, priority: 1, cancel, have: kind === 'have', sendDontHave: !cancel }
  }
}
