import { CappedMap } from '#src/util/capped-map.ts'
import { TokenBucket } from '#src/util/token-bucket.ts'

/**
 * What each address at the front has under way, and how often it may begin something: the budgets of preload.
 *
 * Invariant: an account with calls under way is never forgotten; one without is forgotten once its bucket is
 * full again, which is when it says nothing any more. Memory: the calls under way (bounded in all) and
 * `idleCapacity` accounts beyond them, the least recently used forgotten.
 */

export interface AccountLimits {
  /** Calls that one address may begin per minute, and at once. */
  readonly callsPerMinute: number
  readonly callsPerAddress: number
  readonly callsTotal: number
}

/** One address. */
export interface Account {
  readonly address: string
  readonly bucket: TokenBucket
  calls: number
  /** Blocks named by the grants of its calls, and bytes pulled under them. */
  blocks: number
  bytes: number
  /** When its last call ended. */
  idleMs: number
}

export type AccountRefusal = {
  readonly refused: 'rate' | 'calls-per-address' | 'calls-total'
  readonly retryAfterMs: number
}

const idleCapacity = 50_000
/** Calls that an address may have as long as there is a place at all: a browser has up to four. */
const leastCalls = 4
const minuteMs = 60_000

export class Accounts {
  readonly #limits: AccountLimits
  readonly #busy = new Map<string, Account>()
  readonly #idle = new CappedMap<string, Account>(idleCapacity)
  calls = 0

  constructor(limits: AccountLimits) {
    this.#limits = limits
  }

  /** Accounts that are remembered, busy or not. */
  get size(): number {
    return this.#busy.size + this.#idle.size
  }

  /** Charges an address for one call, or says why not and when to come again. */
  begin(address: string, nowMs: number): Account | AccountRefusal {
    const { callsPerMinute, callsPerAddress, callsTotal } = this.#limits
    const known = this.#busy.get(address) ?? this.#idle.peek(address)
    const calls = known?.calls ?? 0
    const free = callsTotal - this.calls
    if (free <= 0) return { refused: 'calls-total', retryAfterMs: 5_000 }
    // Half of what is free, so that a few addresses cannot fill the house.
    const share = Math.min(callsPerAddress, Math.max(leastCalls, Math.floor(free / 2)))
    if (calls >= share) return { refused: 'calls-per-address', retryAfterMs: 2_000 }
    const account = known ?? {
      address,
      bucket: new TokenBucket(callsPerMinute / 60, nowMs, callsPerMinute),
      calls: 0,
      blocks: 0,
      bytes: 0,
      idleMs: nowMs,
    }
    const delayMs = account.bucket.delayMs(nowMs)
    if (delayMs > 0) return { refused: 'rate', retryAfterMs: delayMs }
    account.bucket.take(1, nowMs)
    this.#idle.delete(address)
    this.#busy.set(address, account)
    account.calls++
    this.calls++
    return account
  }

  /** A call is over, with all that was counted under it. */
  end(account: Account, nowMs: number): void {
    account.calls--
    this.calls--
    if (account.calls > 0) return
    this.#busy.delete(account.address)
    account.idleMs = nowMs
    this.#idle.set(account.address, account)
  }

  /** Forgets accounts that have been idle for so long that a new one would be the same. */
  sweep(nowMs: number): void {
    for (const account of this.#idle.values()) {
      if (nowMs - account.idleMs < minuteMs) return
      // Copies of what it asked for are still being made: they count as its own.
      if (account.blocks > 0) continue
      this.#idle.delete(account.address)
    }
  }
}
