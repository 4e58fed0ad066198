/**
 * A rate as a bucket of tokens that refills with time, `ratePerSecond` of them up to one second's worth
 * (or `burst`). It may go into debt, so that a large item passes whole and is paid for afterwards: used to
 * shape (wait for `delayMs`), never to drop.
 */
export class TokenBucket {
  readonly #ratePerSecond: number
  readonly #burst: number
  #tokens: number
  #filledMs: number

  /** `Infinity` as a rate never delays. */
  constructor(ratePerSecond: number, nowMs: number, burst = ratePerSecond) {
    this.#ratePerSecond = ratePerSecond
    this.#burst = burst
    this.#tokens = burst
    this.#filledMs = nowMs
  }

  /** Takes `tokens`, into debt if need be. */
  take(tokens: number, nowMs: number): void {
    if (this.#ratePerSecond === Number.POSITIVE_INFINITY) return
    this.#fill(nowMs)
    this.#tokens -= tokens
  }

  /** Returns how long to wait until the bucket is out of debt, in ms; 0 when it is not in debt. */
  delayMs(nowMs: number): number {
    if (this.#ratePerSecond === Number.POSITIVE_INFINITY) return 0
    this.#fill(nowMs)
    return this.#tokens > 0 ? 0 : Math.ceil(((1 - this.#tokens) / this.#ratePerSecond) * 1000)
  }

  #fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#filledMs)
    this.#filledMs = nowMs
    this.#tokens = Math.min(this.#burst, this.#tokens + (passedMs / 1000) * this.#ratePerSecond)
  }
}
