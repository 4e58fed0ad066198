import type { Link } from '#src/relay/ports.ts'
import type { World } from '#test/sim/world.ts'
import { joinBytes } from '#test/support/wire.ts'

/**
 * The sending half of a simulated connection, as `p2p/outbound` behaves: woken, it takes one message after
 * the other while its stream has room. Messages of one stream arrive in order.
 */
export class Pipe implements Link {
  readonly #world: World
  readonly #options: PipeOptions
  #running = false
  #arrivesMs = 0
  #open = true
  #reading = true
  /** The last message was sent, and there is no room for another. */
  #full = false
  #undelivered: Uint8Array[] = []

  constructor(world: World, options: PipeOptions) {
    this.#world = world
    this.#options = options
  }

  wake(): void {
    if (this.#running || !this.#open) return
    this.#running = true
    this.#world.after(0, () => this.#next())
  }

  /** Whether the far end takes what is sent. What it does not take stays with the sender, but for one message. */
  set reading(reading: boolean) {
    this.#reading = reading
    if (!reading) return
    for (const bytes of this.#undelivered.splice(0)) this.#deliver(bytes)
    if (!this.#full) return
    this.#full = false
    this.#world.after(0, () => this.#next())
  }

  close(): void {
    this.#open = false
  }

  #next(): void {
    if (!this.#open || !this.#running) return
    const pieces = this.#options.take()
    if (pieces === undefined) {
      this.#running = false
      return
    }
    const bytes = joinBytes(pieces)
    const sendingMs = bytes.length / (this.#options.bytesPerMs ?? 100_000)
    this.#arrivesMs = Math.max(this.#arrivesMs, this.#world.now() + sendingMs + this.#options.latencyMs())
    this.#world.at(this.#arrivesMs, () => this.#deliver(bytes))
    this.#world.after(sendingMs, () => {
      if (this.#reading) this.#next()
      else this.#full = true
    })
  }

  #deliver(bytes: Uint8Array): void {
    if (!this.#open) return
    if (this.#reading) this.#options.deliver(bytes)
    else this.#undelivered.push(bytes)
  }
}

export interface PipeOptions {
  /** The sender's next message, as a frame in pieces. */
  readonly take: () => Uint8Array[] | undefined
  readonly deliver: (frame: Uint8Array) => void
  readonly latencyMs: () => number
  readonly bytesPerMs?: number
}
