import type { Caller, Flight } from '#src/relay/preload/flight.ts'
import type { RefsCall, RefsEnd, RefsFailure } from '#src/relay/preload/refs.ts'
import type { Reader } from '#src/relay/preload/refs-stream.ts'

/**
 * One caller of a flight.
 *
 * Invariant: it hears an end after it has read everything before it, and reads nothing before a backend that works
 * for it has accepted that; `left` is called once. Memory: its place in the stream.
 */

export interface CallOptions {
  readonly wake: () => void
  readonly deadlineMs: number
  readonly startedMs: number
  readonly left: () => void
}

export class Call implements RefsCall, Caller {
  readonly flight: Flight
  readonly startedMs: number
  readonly #options: CallOptions
  readonly #reader: Reader
  #accepted = false
  #late: RefsEnd | undefined
  #left = false

  constructor(flight: Flight, options: CallOptions) {
    this.flight = flight
    this.startedMs = options.startedMs
    this.#options = options
    this.#reader = flight.stream.join()
  }

  get accepted(): boolean {
    if (this.flight.accepted) this.#accepted = true
    return this.#accepted
  }

  get end(): RefsEnd | undefined {
    if (this.#late !== undefined) return this.#late
    // What a backend said that is lost is read by those only who were told that it had accepted.
    return this.accepted && this.flight.stream.hasMore(this.#reader) ? undefined : this.flight.end
  }

  /** How it ended, in one word. */
  get outcome(): 'done' | 'abandoned' | RefsFailure {
    const end = this.#late ?? this.flight.end
    return end === undefined ? 'abandoned' : end.kind === 'done' ? 'done' : end.reason
  }

  read(): readonly Uint8Array[] {
    if (this.#late !== undefined || this.#left || !this.accepted) return []
    const lines = this.flight.stream.take(this.#reader)
    if (lines.length > 0) this.flight.resume()
    return lines
  }

  leave(): void {
    if (this.#left) return
    this.#left = true
    this.flight.stream.leave(this.#reader)
    // The others may have waited for this one to read.
    this.flight.resume()
    this.#options.left()
  }

  wake(): void {
    this.#options.wake()
  }

  /** Ends it when its caller's own time is over. */
  tick(nowMs: number): void {
    if (nowMs < this.#options.deadlineMs || this.flight.end !== undefined || this.#late !== undefined) return
    this.#late = { kind: 'failed', reason: 'timeout', message: 'context deadline exceeded' }
    this.wake()
  }
}
