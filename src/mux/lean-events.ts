/**
 * The events of libp2p's streams, connections and muxers, in plain JavaScript: importing this changes those of the library
 * for good. There, each of these is an EventTarget of the runtime: an object outside of JavaScript, with a native listener and
 * four functions for everyone who listens, and a native event for whatever happens, whether or not somebody listens. A
 * connection has sixty listeners, and boxo opens a stream for every message.
 *
 * Invariant: who listens is called as the DOM's standard has it (order, `once`, `signal`, once per listener, not if removed
 * meanwhile, not if added meanwhile), but an event knows no target, and there is no capturing. Memory: one entry per
 * listener, gone with its target.
 */

import { AbstractMessageStream, AbstractStreamMuxer } from '@libp2p/utils'
import { TypedEventEmitter } from 'main-event'

type Callback = ((event: Event) => void) | { handleEvent(event: Event): void }
type Options =
  | boolean
  | { readonly capture?: boolean; readonly once?: boolean; readonly signal?: AbortSignal }

interface Listener {
  readonly type: string
  readonly callback: Callback
  readonly capture: boolean
  readonly once: boolean
  removed: boolean
  /** Ends the listening for the signal it was added with. */
  unsignal: (() => void) | undefined
}

const listeners = Symbol('listeners')

interface Target {
  /** In the order in which they were added. Entries are only ever added to a list that somebody may go over. */
  [listeners]?: Listener[] | undefined
}

function find(target: Target, type: string, callback: Callback, capture: boolean): Listener | undefined {
  return target[listeners]?.find(
    (each) => each.callback === callback && each.type === type && each.capture === capture,
  )
}

function remove(target: Target, listener: Listener): void {
  if (listener.removed) return
  listener.removed = true
  listener.unsignal?.()
  target[listeners] = target[listeners]?.filter((each) => each !== listener) ?? []
}

function call(callback: Callback, event: Event): void {
  try {
    if (typeof callback === 'function') callback(event)
    else callback.handleEvent(event)
  } catch (error) {
    // As from any listener: nobody's fault is another's, and none is lost.
    queueMicrotask(() => {
      throw error
    })
  }
}

function capturing(options: Options | undefined): boolean {
  return typeof options === 'boolean' ? options : options?.capture === true
}

class LeanEmitter implements Target {
  [listeners]: Listener[] | undefined = undefined

  addEventListener(type: string, callback: Callback | null, options?: Options): void {
    const { once = false, signal } = typeof options === 'object' && options !== null ? options : {}
    const capture = capturing(options)
    if (callback === null || callback === undefined || signal?.aborted === true) return
    if (find(this, type, callback, capture) !== undefined) return
    const listener: Listener = { type, callback, capture, once, removed: false, unsignal: undefined }
    if (signal !== undefined) {
      const end = (): void => remove(this, listener)
      signal.addEventListener('abort', end, { once: true })
      listener.unsignal = () => signal.removeEventListener('abort', end)
    }
    if (this[listeners] === undefined) this[listeners] = [listener]
    else this[listeners].push(listener)
  }

  removeEventListener(type: string, callback?: Callback | null, options?: Options): void {
    if (callback === null || callback === undefined) return
    const listener = find(this, type, callback, capturing(options))
    if (listener !== undefined) remove(this, listener)
  }

  dispatchEvent(event: Event): boolean {
    const all = this[listeners]
    // Those that are added meanwhile stand behind the last one.
    const count = all?.length ?? 0
    for (let i = 0; i < count; i++) {
      const listener = (all as Listener[])[i] as Listener
      if (listener.type !== event.type || listener.removed) continue
      if (listener.once) remove(this, listener)
      call(listener.callback, event)
    }
    return !event.defaultPrevented
  }

  safeDispatchEvent(type: string, detail?: CustomEventInit): boolean {
    if (!this[listeners]?.some((each) => each.type === type)) return true
    return this.dispatchEvent(new CustomEvent(type, detail))
  }

  listenerCount(type: string): number {
    return this[listeners]?.filter((each) => each.type === type).length ?? 0
  }
}

/** What all of them inherit from is put in the place of what they have from the library. */
for (const name of Object.getOwnPropertyNames(LeanEmitter.prototype)) {
  if (name === 'constructor') continue
  const value = LeanEmitter.prototype[name as keyof LeanEmitter]
  Object.defineProperty(TypedEventEmitter.prototype, name, { value, writable: true, configurable: true })
}
// These are made by the hundred, and need nothing else of an EventTarget either.
for (const many of [AbstractMessageStream, AbstractStreamMuxer]) {
  Object.setPrototypeOf(many, LeanEmitter)
  Object.setPrototypeOf(many.prototype, LeanEmitter.prototype)
}
