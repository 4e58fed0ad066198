import type { CidKey, MultihashKey, ParsedCid } from '#src/bitswap/cid.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Pull } from '#src/relay/preload/pull.ts'
import { CappedMap } from '#src/util/capped-map.ts'

/**
 * What one backend wants of us, over all its lanes. A backend tells every want of its own to every peer, so
 * nearly all of this is nothing to us (`idle`); what a grant covers becomes a pull. Idle wants are remembered
 * for a while, because a grant may come after the want, and a backend says each want once.
 *
 * Invariant: one entry per multihash; an entry has, for each CID by which it is wanted, the bit of every lane on which
 * that is open. Memory: `capacity` idle entries, the oldest forgotten; pulled ones are bounded by the grants; `mostForms`
 * CIDs each. An entry leaves by its block, by cancels on all its lanes, by a full list without it, or with its lanes.
 */

/** A CID by which a block is wanted. To a backend each is a want of its own, which only a block by that CID ends. */
export interface WantForm {
  readonly cid: CidKey
  readonly codec: number
  /** A bit per lane that has it open. */
  lanes: number
}

/** A block that a backend wants, in the form in which it was asked first. */
export interface BackWant extends WantForm {
  readonly backend: Backend
  readonly multihash: MultihashKey
  /** Other forms: as CIDv0 and v1, say, by two callers who added the same. Nearly always none. */
  others: WantForm[] | undefined
  /** Set exactly while something is done for it. */
  pull: Pull | undefined
}

/** Version 0, and the codecs that anybody has, with room to spare. */
const mostForms = 8

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
  readonly #served = new CappedMap<CidKey, number>(servedCapacity)
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
    const { key, multihash, codec } = cid
    const lanes = 1 << slot
    const known = this.find(multihash)
    if (known !== undefined) {
      if (known.cid === key) known.lanes |= lanes
      else this.#byAnother(known, { cid: key, codec, lanes }, nowMs)
      return this.#echoes.peek(multihash) === undefined ? known : undefined
    }
    const want: BackWant = { backend, cid: key, multihash, codec, lanes, others: undefined, pull: undefined }
    this.#idle.set(multihash, want)
    const servedMs = this.#servedLately(key, nowMs)
    if (servedMs === undefined) return want
    this.#echoes.set(multihash, servedMs + echoMs)
    return undefined
  }

  /** Notes that it is wanted by another CID than the first. */
  #byAnother(known: BackWant, asked: WantForm, nowMs: number): void {
    const others = known.others ?? []
    const form = others.find(({ cid }) => cid === asked.cid)
    if (form !== undefined) form.lanes |= asked.lanes
    else if (others.length + 1 < mostForms) known.others = [...others, asked]
    // What looked like an echo is wanted by a CID by which it was not given.
    if (this.#servedLately(asked.cid, nowMs) === undefined) this.#echoes.delete(known.multihash)
  }

  #servedLately(cid: CidKey, nowMs: number): number | undefined {
    const servedMs = this.#served.peek(cid)
    return servedMs !== undefined && nowMs - servedMs < echoMs ? servedMs : undefined
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
    if (isOpen(want)) this.#idle.set(want.multihash, want)
  }

  /** The backend was given the block. */
  served(want: BackWant, nowMs: number): void {
    for (const form of formsOf(want)) if (form.lanes !== 0) this.#served.set(form.cid, nowMs)
    this.#forget(want)
  }

  /** The backend takes a want back on a lane; returns it when that was the last of it. */
  cancel(slot: number, { key, multihash }: Pick<ParsedCid, 'key' | 'multihash'>): BackWant | undefined {
    const want = this.find(multihash)
    return want !== undefined && this.#close(want, 1 << slot, (cid) => cid === key) ? want : undefined
  }

  /** The backend wants nothing on a lane but what is in `kept`; returns the wants that are on no lane any more. */
  retain(slot: number, kept: ReadonlySet<CidKey>): BackWant[] {
    const bit = 1 << slot
    const gone: BackWant[] = []
    for (const wants of [this.#pulled.values(), this.#idle.values()]) {
      for (const want of wants) {
        if (this.#close(want, bit, (cid) => !kept.has(cid))) gone.push(want)
      }
    }
    return gone
  }

  /** Closes on a lane the forms that are meant; true if nothing of the want is open any more. */
  #close(want: BackWant, bit: number, isMeant: (cid: CidKey) => boolean): boolean {
    if ((want.lanes & bit) !== 0 && isMeant(want.cid)) want.lanes &= ~bit
    for (const form of want.others ?? []) if (isMeant(form.cid)) form.lanes &= ~bit
    if (isOpen(want)) return false
    this.#forget(want)
    return true
  }

  #forget(want: BackWant): void {
    want.lanes = 0
    want.others = undefined
    this.#echoes.delete(want.multihash)
    this.#idle.delete(want.multihash)
    this.#pulled.delete(want.multihash)
  }
}

/** Returns every form of a want. */
export function formsOf(want: BackWant): readonly WantForm[] {
  return want.others === undefined ? [want] : [want, ...want.others]
}

function isOpen(want: BackWant): boolean {
  return want.lanes !== 0 || (want.others?.some(({ lanes }) => lanes !== 0) ?? false)
}
