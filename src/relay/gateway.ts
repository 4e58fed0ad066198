import type { Ask } from '#src/relay/ask.ts'
import type { GatewayResult, ReadByGateway } from '#src/relay/ports.ts'
import { CircuitBreaker } from '#src/util/circuit-breaker.ts'
import { MovingAverage } from '#src/util/moving-average.ts'

/**
 * The gateway of one backend: what is being asked there, what waits to be, whether it works, and whether it is worth it.
 *
 * Worth it means that the next large block is expected no later than by Bitswap, by the averages of both roads and by
 * how many stand in line; a request that came to nothing counts with what Bitswap takes afterwards. So that both
 * averages stay true, one in `sampleEvery` large blocks goes the other road.
 *
 * Invariant: at most `maxOpen` requests are open, one while it is on trial, each for 1.5 s at most, so that the line moves;
 * it is empty when the gateway is given up. Memory: the open requests, each with a block of up to 2 MiB, and an entry per
 * ask that waits.
 */

/** So few that samples are not in the 99th percentile. */
const sampleEvery = 128
/** Bitswap is measured first: before that there is nothing to compare with. */
const leastSamples = 4
const averagedOver = 16
/** Longer than a hiccup of the event loop; no longer than a lane is waited for before others are asked. */
const shortestPatienceMs = 100
const longestPatienceMs = 1_500

/** How a request ended: as the port says, or by us. `unasked`: it was not made, or its backend is lost. */
export type ReadingEnd = GatewayResult | { readonly kind: 'timeout' | 'unasked' }

/** A request, under way or waiting. */
export interface Reading {
  readonly ask: Ask
  /** When it was made; while it waits, when it began to. */
  sinceMs: number
  epoch: number
  /** Hears once how it ended, never from inside `start`; not at all if the ask is abandoned. */
  readonly ended: (end: ReadingEnd, reading: Reading) => void
  abandon: (() => void) | undefined
}

export class Gateway {
  /** Requests that may be open at once. */
  maxOpen = 1
  readonly #read: ReadByGateway
  readonly #breaker = new CircuitBreaker()
  /** The oldest first, both. */
  readonly #open = new Set<Reading>()
  readonly #waiting = new Set<Reading>()
  readonly #bitswapMs = new MovingAverage(averagedOver)
  readonly #gatewayMs = new MovingAverage(averagedOver)
  #offered = 0

  constructor(read: ReadByGateway) {
    this.#read = read
  }

  /** Requests under way and waiting. */
  get size(): number {
    return this.#open.size + this.#waiting.size
  }

  /** Whether the large block that is to be asked for next is to be asked for here. */
  takesNext(nowMs: number): boolean {
    if (this.#breaker.isOpen(nowMs) || this.#bitswapMs.count < leastSamples) return false
    if (this.#breaker.onTrial) return this.size === 0
    const expectedMs = this.#gatewayMs.value * (1 + this.#waiting.size / this.maxOpen)
    const seemsFaster = expectedMs <= this.#bitswapMs.value
    return this.#offered++ % sampleEvery === 0 ? !seemsFaster : seemsFaster
  }

  /** Asks for a block, now or when there is room. */
  start(ask: Ask, nowMs: number, ended: Reading['ended']): void {
    const reading: Reading = { ask, sinceMs: nowMs, epoch: 0, ended, abandon: undefined }
    this.#waiting.add(reading)
    ask.abandon = () => {
      this.#forget(reading)
      reading.abandon?.()
    }
    this.#makeRequests(nowMs)
  }

  /** Ends requests that take too long; everything when the backend is `lost`. */
  tick(nowMs: number, lost: boolean): void {
    const usualMs = Math.max(this.#bitswapMs.value, this.#gatewayMs.value)
    const patienceMs = Math.min(longestPatienceMs, Math.max(shortestPatienceMs, 4 * usualMs))
    for (const reading of [...this.#open]) {
      if (!lost && nowMs - reading.sinceMs < patienceMs) break
      reading.abandon?.()
      this.#end(reading, { kind: lost ? 'unasked' : 'timeout' })
    }
    if (lost) this.#emptyLine()
    this.#makeRequests(nowMs)
  }

  /** Who waits goes on by Bitswap. */
  #emptyLine(): void {
    for (const reading of [...this.#waiting]) this.#end(reading, { kind: 'unasked' })
  }

  #makeRequests(nowMs: number): void {
    for (const reading of this.#waiting) {
      if (this.#open.size >= this.maxOpen) return
      this.#waiting.delete(reading)
      this.#open.add(reading)
      reading.sinceMs = nowMs
      reading.epoch = this.#breaker.epoch
      reading.abandon = this.#read(reading.ask.multihash, (result) => this.#end(reading, result))
    }
  }

  #forget(reading: Reading): void {
    reading.ask.abandon = undefined
    this.#open.delete(reading)
    this.#waiting.delete(reading)
  }

  #end(reading: Reading, end: ReadingEnd): void {
    this.#forget(reading)
    reading.ended(end, reading)
  }

  /** A large block came by Bitswap. */
  cameByBitswap(ms: number): void {
    this.#bitswapMs.observe(ms)
  }

  /** It gave the block, or said that it is not there; true if that is news: it had been given up. */
  answered({ sinceMs, epoch }: Reading, nowMs: number, found: boolean): boolean {
    // How it was before it was given up says nothing of how it is now.
    if (this.#breaker.onTrial) this.#gatewayMs.forget()
    this.#gatewayMs.observe(nowMs - sinceMs + (found ? 0 : this.#bitswapMs.value))
    this.#makeRequests(nowMs)
    return this.#breaker.succeeded(epoch, nowMs)
  }

  /** It failed, or lied; true if it has just been given up: what waits for it goes on by Bitswap. */
  failed({ sinceMs, epoch }: Reading, nowMs: number, lied: boolean): boolean {
    this.#gatewayMs.observe(nowMs - sinceMs + this.#bitswapMs.value)
    const isNews = this.#breaker.failed(epoch, nowMs, lied)
    if (this.#breaker.isOpen(nowMs)) this.#emptyLine()
    this.#makeRequests(nowMs)
    return isNews
  }
}
