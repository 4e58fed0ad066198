import type { Backend } from '#src/relay/backend.ts'
import type { Observer } from '#src/relay/ports.ts'

/**
 * Whether a backend can be asked. It is ready while a lane is up and something is heard from it; when wants
 * stay unanswered and nothing at all is heard (a stopped process, a dead network), it is passed over for a
 * while, then tried again.
 *
 * Invariant: a state changes only here, and every change is reported once. Memory: none.
 */

export interface HealthOptions {
  /** Nothing heard for this long, with asks unanswered, is silence. */
  readonly silentMs: number
  /** A silent backend is tried again after this. */
  readonly retryMs: number
}

export class Health {
  readonly #observer: Observer
  readonly #options: HealthOptions

  constructor(observer: Observer, options: HealthOptions) {
    this.#observer = observer
    this.#options = options
  }

  /** Brings the state up to date; true if the backend has just become ready. */
  update(backend: Backend, nowMs: number): boolean {
    if (!backend.up) {
      if (backend.state !== 'connecting') {
        backend.lostMs = nowMs
        this.#change(backend, 'connecting', 'no connection')
      }
      return false
    }
    if (backend.state === 'ready' && this.#isSilent(backend, nowMs)) {
      // Silent after a try in vain means that it is still lost, not lost again.
      if (backend.heardMs >= backend.triedMs) backend.lostMs = nowMs
      backend.silentUntilMs = nowMs + this.#options.retryMs
      this.#change(backend, 'unresponsive', 'connected, but nothing is answered')
      return false
    }
    if (backend.state === 'ready') return false
    const again = backend.state === 'connecting' || backend.heardMs > backend.lostMs
    if (!again && nowMs < backend.silentUntilMs) return false
    if (!again) backend.triedMs = nowMs
    this.#change(backend, 'ready', undefined)
    return true
  }

  #isSilent(backend: Backend, nowMs: number): boolean {
    for (const lane of backend.lanes) {
      for (const ask of lane.unanswered()) {
        const sinceMs = Math.max(ask.sentMs ?? nowMs, backend.heardMs, backend.triedMs)
        if (nowMs - sinceMs > this.#options.silentMs) return true
        break
      }
    }
    return false
  }

  #change(backend: Backend, state: Backend['state'], reason: string | undefined): void {
    backend.state = state
    this.#observer.backendState(backend.name, state, reason)
  }
}
