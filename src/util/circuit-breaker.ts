/**
 * Whether something that may fail is to be used: after a few failures in a row it is left alone for a while, then tried
 * once; each time it fails again the while doubles.
 *
 * Invariant: on trial until the first success, and again after each time of being left alone. What began before it was
 * last given up (an older `epoch`) says nothing new and is ignored. Memory: seven numbers.
 */

/** Failures in a row after which it is given up; while it is on trial one will do. */
const maxFailures = 3
const shortestMs = 1_000
const longestMs = 60_000

export class CircuitBreaker {
  /** Goes with whatever is begun, and comes back with how that ended. */
  epoch = 0
  /** It has yet to prove itself: begin one thing at a time. */
  onTrial = true
  #failures = 0
  #untilMs = Number.NEGATIVE_INFINITY
  #backMs = Number.NEGATIVE_INFINITY
  #waitMs = 0
  /** It was given up, and nothing has succeeded since. */
  #down = false

  /** Whether it is to be left alone. */
  isOpen(nowMs: number): boolean {
    return nowMs < this.#untilMs
  }

  /** Something worked; true if that is news: it had been given up. */
  succeeded(epoch: number, nowMs: number): boolean {
    if (epoch !== this.epoch) return false
    const isNews = this.#down
    this.#failures = 0
    this.#down = false
    if (this.onTrial) this.#backMs = nowMs
    this.onTrial = false
    // Forgiven once it has worked for as long as it was left alone.
    if (nowMs - this.#backMs > this.#waitMs) this.#waitMs = 0
    return isNews
  }

  /** Something failed; `badly`: once is enough. True if it has just been given up. */
  failed(epoch: number, nowMs: number, badly = false): boolean {
    if (epoch !== this.epoch) return false
    this.#failures++
    if (!badly && !this.onTrial && this.#failures < maxFailures) return false
    const isNews = !this.#down
    this.#waitMs = Math.min(longestMs, Math.max(shortestMs, 2 * this.#waitMs))
    this.#untilMs = nowMs + this.#waitMs
    this.#failures = 0
    this.onTrial = true
    this.#down = true
    this.epoch++
    return isNews
  }
}
