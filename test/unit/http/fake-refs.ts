import type { RefsCall, RefsCalls, RefsEnd, RefsRefusal, RefsRequest } from '#src/relay/preload/refs.ts'

/** The relay as HTTP sees it, in the hands of a test. */
export class FakeRefs implements RefsCalls {
  readonly calls: FakeCall[] = []
  /** What the next call is refused with. */
  refusal: RefsRefusal | undefined
  readonly #waiting: ((call: FakeCall) => void)[] = []

  refs(request: RefsRequest, wake: () => void): RefsCall | RefsRefusal {
    if (this.refusal !== undefined) return this.refusal
    const call = new FakeCall(request, wake)
    this.calls.push(call)
    this.#waiting.shift()?.(call)
    return call
  }

  /** Resolves with the next call that comes. */
  next(): Promise<FakeCall> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

export class FakeCall implements RefsCall {
  readonly request: RefsRequest
  readonly left: Promise<void>
  accepted = false
  leaves = 0
  /** How often it was read from. */
  reads = 0
  #lines: Uint8Array[] = []
  #end: RefsEnd | undefined
  readonly #wake: () => void
  readonly #leave: () => void

  constructor(request: RefsRequest, wake: () => void) {
    const left = Promise.withResolvers<void>()
    this.request = request
    this.left = left.promise
    this.#leave = left.resolve
    this.#wake = wake
  }

  get end(): RefsEnd | undefined {
    return this.#lines.length > 0 ? undefined : this.#end
  }

  read(): readonly Uint8Array[] {
    this.reads++
    return this.#lines.splice(0)
  }

  leave(): void {
    this.leaves++
    this.#leave()
  }

  accept(): void {
    this.accepted = true
    this.#wake()
  }

  push(...refs: string[]): void {
    this.accepted = true
    for (const ref of refs) this.#lines.push(Buffer.from(`${JSON.stringify({ Ref: ref, Err: '' })}\n`))
    this.#wake()
  }

  finish(end: RefsEnd = { kind: 'done' }): void {
    if (end.kind === 'done') this.accepted = true
    this.#end = end
    this.#wake()
  }
}
