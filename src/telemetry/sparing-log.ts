/**
 * Warnings that come in swarms, said once: when a backend is lost, each of its thousand calls has the same to say.
 *
 * Memory: one entry per key; keys are made of configuration and closed lists, never of what a peer sends.
 */
export interface SparingLogDeps {
  readonly warn: (fields: Readonly<Record<string, unknown>>, message: string) => void
  /** Milliseconds that never go back. */
  readonly now: () => number
}

/** The same is not said again before this. */
const quietMs = 10_000

export class SparingLog {
  readonly #deps: SparingLogDeps
  readonly #said = new Map<string, { atMs: number; leftOut: number }>()

  constructor(deps: SparingLogDeps) {
    this.#deps = deps
  }

  /** Warns, unless the same key did so lately; `leftOut` in the next line says how often. */
  warn(key: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    const nowMs = this.#deps.now()
    const last = this.#said.get(key)
    if (last !== undefined && nowMs - last.atMs < quietMs) {
      last.leftOut++
      return
    }
    this.#said.set(key, { atMs: nowMs, leftOut: 0 })
    this.#deps.warn(
      last === undefined || last.leftOut === 0 ? fields : { ...fields, leftOut: last.leftOut },
      message,
    )
  }
}
