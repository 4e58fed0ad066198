import { defaultLogger } from '@libp2p/logger'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Bytes } from '#src/mux/short-way.ts'

const log = defaultLogger().forComponent('test')

/** One end of a connection in memory. Nothing moves but by `deliver`, so a test decides on every cut and delay. */
export class PipeEnd extends AbstractMessageStream {
  other: PipeEnd | undefined
  readonly #underWay = new Uint8ArrayList()
  readonly #capacity: number
  #full = false

  constructor(direction: 'inbound' | 'outbound', capacity: number) {
    super({ log, direction, maxReadBufferLength: Number.MAX_SAFE_INTEGER })
    this.#capacity = capacity
  }

  get underWay(): number {
    return this.#underWay.byteLength
  }

  override sendData(bytes: Bytes): SendResult {
    this.#underWay.append(bytes.slice())
    this.#full = this.#underWay.byteLength > this.#capacity
    return { sentBytes: bytes.byteLength, canSendMore: !this.#full }
  }

  /** Hands up to `bytes` to the other end, if that reads; returns whether anything moved. */
  deliver(bytes: number): boolean {
    const piece = this.#underWay.slice(0, Math.min(bytes, this.#underWay.byteLength))
    if (piece.length === 0 || this.other?.readStatus !== 'readable') return false
    this.#underWay.consume(piece.length)
    this.other.onData(piece)
    if (this.#full && this.#underWay.byteLength <= this.#capacity / 2) {
      this.#full = false
      this.safeDispatchEvent('drain')
    }
    return true
  }

  override sendReset(): void {}
  override sendPause(): void {}
  override sendResume(): void {}
  override async close(): Promise<void> {
    this.onTransportClosed()
    this.other?.onTransportClosed()
  }
}

/** Returns a connection; each direction is full at `capacity` bytes. */
export function pipe(capacity: number): [dialled: PipeEnd, accepted: PipeEnd] {
  const dialled = new PipeEnd('outbound', capacity)
  const accepted = new PipeEnd('inbound', capacity)
  dialled.other = accepted
  accepted.other = dialled
  return [dialled, accepted]
}

/** Delivers everything, with what is sent in answer, until nothing moves any more. */
export async function settle(...ends: PipeEnd[]): Promise<void> {
  for (let still = 0; still < 3; still++) {
    for (const end of ends) if (end.deliver(64 * 1024)) still = 0
    await new Promise((resolve) => setImmediate(resolve))
  }
}
