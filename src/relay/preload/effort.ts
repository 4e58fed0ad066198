import type { Backend } from '#src/relay/backend.ts'
import type { RefsQuery, RefsResult, RefsWork } from '#src/relay/preload/refs.ts'

/**
 * One backend doing one refs: told by its RPC, and told to keep what it fetched where that is wanted.
 *
 * Invariant: `ended` is called once, unless the effort is given up before; never from inside the constructor.
 * Memory: none of its own.
 */

export interface EffortListener {
  /** Lines came, or (with none) the backend has begun to answer. Returns false to pause until `resume`. */
  lines(lines: readonly Uint8Array[]): boolean
  ended(result: RefsResult): void
}

export class Effort {
  readonly backend: Backend
  readonly startedMs: number
  /** The backend has said something by RPC. */
  answered = false
  /** The backend has it all and is told to keep it, which takes the time it takes. */
  keeping = false
  #ended = false
  #stop: () => void
  #work: RefsWork | undefined

  constructor(backend: Backend, query: RefsQuery, listener: EffortListener, nowMs: number) {
    this.backend = backend
    this.startedMs = nowMs
    const work = backend.rpc.refs?.(query, {
      lines: (lines) => {
        this.answered = true
        return this.#ended || listener.lines(lines)
      },
      ended: (result) => {
        this.#work = undefined
        if (this.#ended) return
        const keep = listsWhole(query) ? backend.rpc.keep : undefined
        if (result.kind !== 'done' || keep === undefined) return this.#end(listener, result)
        this.keeping = true
        this.#stop = keep(query.root, (failure) => {
          if (failure === undefined) this.#end(listener, result)
          else this.#end(listener, { kind: 'lost', reason: `fetched, but not kept: ${failure}` })
        })
      },
    })
    this.#work = work
    this.#stop = () => work?.abort()
  }

  resume(): void {
    this.#work?.resume()
  }

  /** Gives it up: the backend is told, the listener hears nothing more. Idempotent. */
  abort(): void {
    if (this.#ended) return
    this.#ended = true
    this.#stop()
  }

  #end(listener: EffortListener, result: RefsResult): void {
    if (this.#ended) return
    this.#ended = true
    listener.ended(result)
  }
}

/** Only a whole DAG is kept: telling a backend to keep its root would have it fetch the rest as well. */
function listsWhole({ recursive, maxDepth, arg }: RefsQuery): boolean {
  return recursive && maxDepth < 0 && !arg.includes('/')
}
