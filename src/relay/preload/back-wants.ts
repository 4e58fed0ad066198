import type { CidKey, MultihashKey, ParsedCid } from '#src/bitswap/cid.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Pull } from '#src/relay/preload/pull.ts'
import { CappedMap } from '#src/util/capped-map.ts'

/**
 * What one backend wants of us, over all its lanes. A backend tells every want of its own to every peer, so
 * nearly all of this is nothing to us (`idle`); what a grant covers becomes a pull. Idle wants are remembered
 * for a while, because a grant may come after the want, and a backend says each want once.
 *
 * Invariant: one entry per multihash; an entry has the bit of every lane on which it is open. Memory:
 * `capacity` idle entries, the oldest forgotten; pulled ones are bounded by the grants. An entry leaves by its
 * block, by cancels on all its lanes, by a full list without it, or with its lanes.
 */

/** A block that a backend wants. */
export interface BackWant {
  readonly backend: Backend
  /** The form in which it was asked first. */
  readonly cid: CidKey
  readonly multihash: MultihashKey
  readonly codec: number
  /** A bit per lane that has it open. */
  lanes: number
  /** Set exactly while something is done for it. */
  pull: Pull | undefined
}

/** Of one backend, at about 200 bytes each. */
const defaultCapacity = 8_192
/** Blocks given lately that are remembered. */
const servedCapacity = 4_096
/**
 * The lanes tell of the same want one after the other: one that comes this soon after its block was given is
 * the echo of another lane, not a new want.
 */
const echoMs = 2_000

export class BackWants {
  readonly #idle: CappedMap<MultihashKey, BackWant>
  readonly #pulled = new Map<MultihashKey, BackWant>()
  readonly #served = new CappedMap<MultihashKey, number>(servedCapacity)
  /** Wants that look like echoes, with the time from which they are taken seriously; of the served ones only. */
  readonly #echoes = new CappedMap<MultihashKey, number>(servedCapacity)

  constructor(capacity = defaultCapacity) {
    this.#idle = new CappedMap(capacity)
  }

  get size(): number {
    return this.#idle.size + this.#pulled.size
  }

  /** Whether the backend wants it on any lane. */
  find(key: MultihashKey): BackWant | undefined {
    return this.#pulled.get(key) ?? this.#idle.peek(key)
  }

  /** Notes a want on a lane and returns it; undefined for what looks like an echo: it is heard again if it stays. */
  want(backend: Backend, slot: number, cid: ParsedCid, nowMs: number): BackWant | undefined {
    const bit = 1 << slot
    const known = this.find(cid.multihash)
    if (known !== undefined) {
      known.lanes |= bit
      return this.#echoes.peek(known.multihash) === undefined ? known : undefined
    }
    const { key, multihash, codec } = cid
    const want: BackWant = { backend, cid: key, multihash, codec, lanes: bit, pull: undefined }
    this.#idle.set(multihash, want)
    const servedMs = this.#served.peek(multihash)
    if (servedMs === undefined || nowMs - servedMs >= echoMs) return want
    this.#echoes.set(multihash, servedMs + echoMs)
    return undefined
  }

  /** Returns the wants that looked like echoes and were not taken back in time: they are meant. */
  due(nowMs: number): BackWant[] {
    const due: BackWant[] = []
    for (const [key, atMs] of this.#echoes.entries()) {
      if (atMs > nowMs) continue
      this.#echoes.delete(key)
      const want = this.#idle.peek(key)
      if (want !== undefined) due.push(want)
    }
    return due
  }

  /** Something is done for it from now on. */
  pulling(want: BackWant, pull: Pull): void {
    want.pull = pull
    this.#idle.delete(want.multihash)
    this.#pulled.set(want.multihash, want)
  }

  /** Nothing is done for it any more, but the backend still wants it. */
  idle(want: BackWant): void {
    if (want.pull === undefined) return
    want.pull = undefined
    this.#pulled.delete(want.multihash)
    if (want.lanes !== 0) this.#idle.set(want.multihash, want)
  }

  /** The backend was given the block. */
  served(want: BackWant, nowMs: number): void {
    this.#forget(want)
    this.#served.set(want.multihash, nowMs)
  }

  /** The backend takes a want back on a lane; returns it when it was the last lane. */
  cancel(slot: number, key: MultihashKey): BackWant | undefined {
    const want = this.find(key)
    return want !== undefined && this.#close(want, 1 << slot) ? want : undefined
  }

  /** The backend wants nothing on a lane but what is in `kept`; returns the wants that are on no lane any more. */
  retain(slot: number, kept: ReadonlySet<MultihashKey>): BackWant[] {
    const bit = 1 << slot
    const gone: BackWant[] = []
    for (const wants of [this.#pulled.values(), this.#idle.values()]) {
      for (const want of wants) {
        if ((want.lanes & bit) !== 0 && !kept.has(want.multihash) && this.#close(want, bit)) gone.push(want)
      }
    }
    return gone
  }

  #close(want: BackWant, bit: number): boolean {
    want.lanes &= ~bit
    if (want.lanes !== 0) return false
    this.#forget(want)
    return true
  }

  #forget(want: BackWant): void {
    want.lanes = 0
    this.#echoes.delete(want.multihash)
    this.#idle.delete(want.multihash)
    this.#pulled.delete(want.multihash)
  }
}
