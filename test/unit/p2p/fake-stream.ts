import type { Stream } from '@libp2p/interface'
import { joinBytes } from '#test/support/wire.ts'

/** A stream as `Inbound` and `Outbound` see one: what is sent is kept, and the test plays the far side. */
export class FakeStream extends EventTarget {
  readonly protocol: string
  status = 'open'
  readStatus = 'readable'
  remoteWriteStatus = 'writable'
  readableEnded = false
  /** What was sent, message by message. */
  readonly sent: Uint8Array[] = []
  /** Whether there is room for more after each message. */
  room = true
  aborted: Error | undefined
  closes = 0
  /** Called when the far side is seen to read; who has no windows has no such thing. */
  onRead: (() => void) | undefined

  constructor(protocol = '/ipfs/bitswap/1.2.0') {
    super()
    this.protocol = protocol
  }

  get asStream(): Stream {
    return this as unknown as Stream
  }

  send(bytes: { subarray(): Uint8Array }): boolean {
    if (this.status !== 'open') throw new Error('the stream is closed')
    this.sent.push(joinBytes([bytes.subarray()]).slice())
    return this.room
  }

  /** The far side sends. */
  receive(data: Uint8Array): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data }))
  }

  drain(): void {
    this.room = true
    this.dispatchEvent(new Event('drain'))
  }

  /** The far side ends its half. */
  endWrite(): void {
    this.remoteWriteStatus = 'closed'
    this.dispatchEvent(new Event('remoteCloseWrite'))
    this.readableEnded = true
    this.dispatchEvent(new Event('end'))
  }

  pause(): void {
    this.readStatus = 'paused'
  }

  resume(): void {
    this.readStatus = 'readable'
  }

  async close(): Promise<void> {
    this.closes++
    this.#end(undefined)
  }

  abort(error: Error): void {
    this.aborted ??= error
    this.#end(error)
  }

  #end(error: Error | undefined): void {
    if (this.status !== 'open') return
    this.status = error === undefined ? 'closed' : 'aborted'
    this.dispatchEvent(Object.assign(new Event('close'), { error }))
  }
}

/** Resolves when `holds` does; rejects when it takes longer than a test should wait. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 5_000
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`waited for nothing: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
