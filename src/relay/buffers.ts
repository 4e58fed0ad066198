/**
 * How much block data the edge holds for clients that have not read it yet, in all, and how that is shared.
 *
 * The share of one client is half of what is free, so it shrinks as others come and a single client may
 * have nearly all it can use while nobody else asks (dynamic thresholds, as in shared-memory switches).
 * Every client may always have one block under way, or it would never get any.
 *
 * Invariant: `usedBytes` is the sum over all outboxes, `reservedBytes` what active wants are expected to
 * add. Memory: two numbers; they bound `totalBytes` and one block per client beyond it.
 */
export class Buffers {
  readonly #perClientBytes: number
  readonly #totalBytes: number
  usedBytes = 0
  reservedBytes = 0

  constructor(perClientBytes: number, totalBytes: number) {
    this.#perClientBytes = perClientBytes
    this.#totalBytes = totalBytes
  }

  /** What is neither used nor expected; below zero when more came than was expected. */
  get freeBytes(): number {
    return this.#totalBytes - this.usedBytes - this.reservedBytes
  }

  /** Whether a client that holds (or expects) `heldBytes` may ask for a block of about `blockBytes`. */
  allows(heldBytes: number, blockBytes: number): boolean {
    if (heldBytes === 0) return true
    return heldBytes + blockBytes <= Math.min(this.#perClientBytes, this.freeBytes / 2)
  }

  /**
   * Whether a block that has come may be queued for a client that has `queuedBytes`. Looser than `allows`,
   * because the block is here; strict, because its size was only guessed.
   */
  fits(queuedBytes: number, blockBytes: number): boolean {
    if (queuedBytes === 0) return true
    return (
      queuedBytes + blockBytes <= this.#perClientBytes * 1.25 &&
      this.usedBytes + blockBytes <= this.#totalBytes * 1.25
    )
  }
}
