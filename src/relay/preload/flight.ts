import type { Backend } from '#src/relay/backend.ts'
import type { Clock } from '#src/relay/ports.ts'
import type { Account } from '#src/relay/preload/accounts.ts'
import { Effort } from '#src/relay/preload/effort.ts'
import type { Grant } from '#src/relay/preload/grant.ts'
import type { RefsEnd, RefsFailure, RefsQuery, RefsResult } from '#src/relay/preload/refs.ts'
import { RefsStream } from '#src/relay/preload/refs-stream.ts'

/**
 * One refs under way for everyone who asked for the same: a backend does it, another one takes over when it is
 * lost, and further ones repeat it where copies are wanted.
 *
 * Invariant: `end` is set once, and only after a backend said that it has everything may it be `done`; callers
 * hear the first backend only. Memory: its stream and its grant; ended by its last caller, by its last copy, or
 * by time.
 */

export interface FlightOptions {
  /** Nothing came of it for so long: it fails. */
  readonly waitMs: number
  /** Longest that it may take, copies included. */
  readonly ageMs: number
  /** Backends that are to have it in the end. */
  readonly replicas: number
}

export interface FlightDeps {
  readonly clock: Clock
  readonly grant: Grant
  /** Returns the backends that may do it, the best first. */
  readonly candidates: () => Iterable<Backend>
  /** What an operator should know: a backend could not do what it was asked to. */
  readonly trouble: (backend: Backend, what: 'lost' | 'no-copy', reason: string) => void
  /** A backend may wait for what the grant does not cover because the pool has what leads there. */
  readonly trace: (nowMs: number) => void
  /** It is over, and nothing of it goes on. */
  readonly over: () => void
}

/** One of those who asked. */
export interface Caller {
  /** Something is new. */
  wake(): void
}

/** A backend that has not asked for the root by then, nor said a word, is not going to; nor one that is cut off. */
const silentMs = 10_000
/** Nothing came for so long, and nothing is pulled: a backend waits for something else. */
const quietMs = 500
/** How often a backend that says that it failed is followed by another: once, it may be the one that is ill. */
const secondOpinions = 1

export class Flight {
  readonly query: RefsQuery
  readonly stream = new RefsStream()
  readonly startedMs: number
  /** Who asked. The clients of each may be asked for blocks. */
  readonly callers = new Map<Caller, Account>()
  /** Takes back the question who has the root, while it is open. */
  looking: (() => void) | undefined
  /** The backend that does it has accepted the work; those who heard so of one before it need not know. */
  accepted = false
  end: RefsEnd | undefined
  /** Copies made. */
  copies = 0
  readonly #deps: FlightDeps
  readonly #options: FlightOptions
  /** Those that were told, with when they were last lost before: who has been started anew since may try again. */
  readonly #tried = new Map<Backend, number>()
  #effort: Effort | undefined
  #opinions = 0
  /** Said that it failed. Anybody can name what cannot be done, so an operator hears of it only if another one can. */
  #doubted: { readonly backend: Backend; readonly message: string } | undefined
  #over = false

  constructor(query: RefsQuery, deps: FlightDeps, options: FlightOptions) {
    this.query = query
    this.startedMs = deps.clock.now()
    this.#deps = deps
    this.#options = options
  }

  get grant(): Grant {
    return this.#deps.grant
  }

  /** Copies that are missing now that it is over. */
  get failedCopies(): number {
    return this.end?.kind === 'done' ? Math.max(0, this.#options.replicas - 1 - this.copies) : 0
  }

  /** Puts the next backend to work; false if there is none. */
  begin(): boolean {
    const nowMs = this.#deps.clock.now()
    for (const backend of this.#deps.candidates()) {
      if (!backend.ready || backend.rpc.refs === undefined) continue
      if (backend.lostMs <= (this.#tried.get(backend) ?? Number.NEGATIVE_INFINITY)) continue
      this.#tried.set(backend, backend.lostMs)
      this.grant.progressMs = nowMs
      if (this.end === undefined) this.#restart()
      const listener = {
        lines: (lines: readonly Uint8Array[]) => this.#lines(lines),
        ended: (result: RefsResult) => this.#ended(backend, result),
      }
      this.#effort = new Effort(backend, this.query, listener, nowMs)
      return true
    }
    return false
  }

  #restart(): void {
    this.stream.restart()
    this.accepted = false
  }

  /** A caller read something: there may be room again. */
  resume(): void {
    if (this.stream.hasRoom) this.#effort?.resume()
  }

  /** The last caller left before its end: nobody wants it any more. */
  abandon(): void {
    if (this.end === undefined) this.#finish()
  }

  /** Ends it for a reason. */
  fail(reason: RefsFailure, message: string): void {
    if (this.end === undefined) {
      this.end = { kind: 'failed', reason, message }
      this.#finish()
      return this.#wake()
    }
    if (this.#effort !== undefined) this.#deps.trouble(this.#effort.backend, 'no-copy', message)
    this.#finish()
  }

  /** Ends what takes too long. */
  tick(nowMs: number): void {
    if (this.#over) return
    const { grant } = this
    const effort = this.#effort
    if (grant.exceeded) return this.fail('limit', 'the content is larger or deeper than this node takes')
    if (nowMs - this.startedMs > this.#options.ageMs) return this.fail('timeout', 'context deadline exceeded')
    if (effort === undefined) return this.#awaitBackend(nowMs)
    if (effort.keeping) return
    if (this.#isLost(effort, nowMs) && this.#another(effort.backend, 'silent')) return
    // It is its callers who keep it: they do not read.
    if (!this.stream.hasRoom) grant.progressMs = nowMs
    const quiet = nowMs - grant.progressMs
    if (quiet > this.#options.waitMs) return this.#stuck(effort)
    if (quiet > quietMs && grant.pulls.size === 0 && effort.backend.wants.size > 0) this.#deps.trace(nowMs)
  }

  /** Whether a backend is cut off, or has given no sign of having heard. */
  #isLost({ backend, answered, startedMs }: Effort, nowMs: number): boolean {
    if (!backend.ready) return nowMs - Math.max(startedMs, backend.lostMs) > silentMs
    return !answered && !this.grant.wantedMs.has(backend) && nowMs - startedMs > silentMs
  }

  #stuck(effort: Effort): void {
    if (this.end !== undefined) {
      effort.abort()
      this.#ended(effort.backend, { kind: 'lost', reason: 'no progress' })
    } else if (this.grant.pulls.size > 0) {
      this.fail('no-client', 'no peer at your address provides the content')
    } else {
      this.fail('no-backend', 'no progress')
    }
  }

  #lines(lines: readonly Uint8Array[]): boolean {
    this.grant.progressMs = this.#deps.clock.now()
    if (this.end !== undefined) return true
    const room = this.stream.append(lines)
    if (this.stream.differs) {
      this.#disagree()
      return true
    }
    if (lines.length > 0) this.accepted = true
    this.#wake()
    return room
  }

  #ended(backend: Backend, result: RefsResult): void {
    this.#effort = undefined
    if (result.kind !== 'lost') this.#tried.set(backend, Number.POSITIVE_INFINITY)
    if (result.kind === 'done') return this.#done(backend)
    const reason = result.kind === 'lost' ? result.reason : result.message
    if (this.end !== undefined) return this.#copy(backend, reason)
    if (result.kind === 'failed') return this.#failed(backend, reason)
    if (this.#another(backend, reason)) return
    this.#deps.trouble(backend, 'lost', reason)
    // Its callers were told that it is under way: a backend that comes back in time keeps the word.
    if (this.stream.length === 0) this.fail('no-backend', 'no node can take this now')
  }

  /** A backend that is well says that it cannot be done: what another one says tells whose fault that is. */
  #failed(backend: Backend, message: string): void {
    if (this.#opinions++ >= secondOpinions || !this.begin()) return this.fail('backend', message)
    this.#doubted = { backend, message }
  }

  /** Nobody does it now: waits for a backend that has come back. */
  #awaitBackend(nowMs: number): void {
    if (this.looking !== undefined || this.begin()) return
    if (nowMs - this.grant.progressMs > this.#options.waitMs) {
      this.fail('no-backend', 'no node can take this now')
    }
  }

  /** Another backend takes over, if there is one. */
  #another(backend: Backend, reason: string): boolean {
    const before = this.#effort
    this.#effort = undefined
    if (!this.begin()) {
      this.#effort = before
      return false
    }
    before?.abort()
    this.#deps.trouble(backend, 'lost', reason)
    return true
  }

  #disagree(): void {
    this.fail('backend', 'two nodes disagree about the content')
  }

  #done(backend: Backend): void {
    if (this.end === undefined) {
      if (this.stream.isBehind) return this.#disagree()
      if (this.#doubted !== undefined)
        this.#deps.trouble(this.#doubted.backend, 'lost', this.#doubted.message)
      this.accepted = true
      this.end = { kind: 'done' }
      this.#wake()
    } else {
      this.copies++
    }
    this.#copy(backend, undefined)
  }

  /** One more backend repeats it, until enough have it; `failure` says why the last one has not. */
  #copy(last: Backend, failure: string | undefined): void {
    if (this.copies + 1 >= this.#options.replicas) return this.#finish()
    if (this.begin()) {
      if (failure !== undefined) this.#deps.trouble(last, 'lost', failure)
      return
    }
    this.#deps.trouble(last, 'no-copy', failure ?? 'no other backend is ready')
    this.#finish()
  }

  #wake(): void {
    for (const caller of this.callers.keys()) caller.wake()
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.looking?.()
    this.looking = undefined
    this.#effort?.abort()
    this.#effort = undefined
    this.#deps.over()
  }
}
