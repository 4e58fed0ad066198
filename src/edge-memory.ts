import process from 'node:process'
import type { Counters } from '#src/relay/counters.ts'

/**
 * Memory goes back to the system after a burst. The collector runs when memory is needed, so a burst leaves what it has
 * freed, for hours, to a process that then does nothing; a collection in a quiet moment costs nobody anything.
 *
 * Invariant: at most one collection per burst, and none while much is going on. Memory: three numbers.
 */
export class QuietCollector {
  readonly #moved: () => number
  readonly #collect: () => void
  #seenBytes = 0
  #sinceBytes = 0

  /** `moved` counts what has passed through, in bytes; `collect` gives memory back. */
  constructor(moved: () => number, collect: () => void) {
    this.#moved = moved
    this.#collect = collect
  }

  /** To be called every `quietTickMs`. */
  tick(): void {
    const moved = this.#moved()
    const lately = moved - this.#seenBytes
    this.#seenBytes = moved
    this.#sinceBytes += lately
    if (lately > quietBytes || this.#sinceBytes < burstBytes) return
    this.#sinceBytes = 0
    this.#collect()
  }
}

export const quietTickMs = 5_000
/** Less than this between two ticks is quiet. */
const quietBytes = 1024 * 1024
/** Less than this leaves nothing worth collecting. */
const burstBytes = 32 * 1024 * 1024
/** What a want or a small block leaves behind, beyond its bytes. */
const entryBytes = 1024

/** What the handshakes of a connection leave behind. */
const connectionBytes = 64 * 1024

/** Returns what has passed through, by the relay's counters and the connections that were ever opened. */
export function movedBytes(counters: Counters, connections: number): number {
  const { bytesIn, bytesOut, pulledBytes, blocksIn, blocksOut, wants } = counters
  const entries = blocksIn + blocksOut + wants
  return bytesIn + bytesOut + pulledBytes + entryBytes * entries + connectionBytes * connections
}

/** Collects everything, and has the allocator give it back; nothing where the runtime has no such call. */
export function collectAll(): void {
  if (process.versions.bun !== undefined) Bun.gc(true)
}
