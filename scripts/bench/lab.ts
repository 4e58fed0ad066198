/**
 * Where a bench runs: it owns every process that the bench starts, and ends them, whether a case is over, has
 * failed or somebody pressed Ctrl-C. Nothing here outlives `stop()`.
 */
import type { BenchOptions } from './options.ts'

interface Stoppable {
  stop(): Promise<unknown>
}

/** The bench was ended from outside. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted')
  }
}

export class Lab {
  readonly options: BenchOptions
  readonly #running = new Set<Stoppable>()
  #stopped = false

  constructor(options: BenchOptions) {
    this.options = options
  }

  get interrupted(): boolean {
    return this.#stopped
  }

  /** How often each subject is measured, the first load after its start not counted. */
  get rounds(): number {
    return this.options.quick ? 1 : 3
  }

  /** How long one load lasts. */
  get seconds(): number {
    return this.options.quick ? 1.5 : 4
  }

  /** Takes over what was started; hands it back. */
  async keep<T extends Stoppable>(starting: Promise<T>): Promise<T> {
    const each = await starting
    if (this.#stopped) {
      await each.stop()
      throw new Interrupted()
    }
    this.#running.add(each)
    return each
  }

  /** Stops one thing now. */
  async release(each: Stoppable): Promise<void> {
    this.#running.delete(each)
    await each.stop()
  }

  /** Stops what is running, the last started first. A case begins and ends with nothing. */
  async clear(): Promise<void> {
    for (const each of [...this.#running].reverse()) await this.release(each)
  }

  /** Stops everything, at once, and lets nothing new begin. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.allSettled([...this.#running].map((each) => this.release(each)))
  }

  /** Waits, unless the bench was ended. */
  async pause(seconds: number): Promise<void> {
    const untilMs = performance.now() + seconds * 1000
    while (performance.now() < untilMs) {
      this.check()
      await new Promise((resolve) => setTimeout(resolve, Math.min(100, untilMs - performance.now() + 1)))
    }
  }

  /** Throws when the bench was ended. */
  check(): void {
    if (this.#stopped) throw new Interrupted()
  }

  /** Says what is being done, on stderr: one line that is written over on a terminal, a line each elsewhere. */
  progress(text: string): void {
    this.check()
    const { stderr } = process
    if (stderr.isTTY) stderr.write(`\r\x1b[K${text === '' ? '' : `  ${text} …`}`)
    else if (text !== '') stderr.write(`  ${text}\n`)
  }
}
