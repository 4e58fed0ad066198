import { defaultLogger } from '@libp2p/logger'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'
import type { Bytes } from '#src/mux/short-way.ts'
import { YamuxMuxer } from '#src/mux/yamux.ts'
import { FrameReader, frameTypes, writeHeader } from '#src/mux/yamux-frame.ts'
import { muxerOptions } from './muxers.ts'

const log = defaultLogger().forComponent('test')

export interface Frame {
  readonly type: number
  readonly flag: number
  readonly id: number
  readonly length: number
  readonly body: Uint8Array
}

/** Returns the bytes of a frame. */
export function frame(
  type: keyof typeof frameTypes,
  flag: number,
  id: number,
  body: Uint8Array | number = 0,
): Uint8Array {
  if (typeof body === 'number') return writeHeader(frameTypes[type], flag, id, body)
  return Buffer.concat([writeHeader(frameTypes[type], flag, id, body.length), body])
}

/** Returns the frames that bytes are. */
export function framesOf(bytes: readonly Uint8Array[]): Frame[] {
  const frames: Frame[] = []
  const reader = new FrameReader({
    header: (type, flag, id, length) => frames.push({ type, flag, id, length, body: new Uint8Array(0) }),
    body: (piece) => {
      const last = frames.pop() as Frame
      frames.push({ ...last, body: Buffer.concat([last.body, piece]) })
    },
    end: () => {},
  })
  for (const piece of bytes) reader.push(piece)
  return frames
}

/** The connection below a muxer, with the test as the peer: `onData` is what the peer sends. */
export class FakeConnection extends AbstractMessageStream {
  readonly sent: Uint8Array[] = []
  /** Bytes after which it is full, until `drain`. */
  capacity = Number.POSITIVE_INFINITY
  broken: Error | undefined
  /** Runs while it is sending. */
  whileSending: (() => void) | undefined
  #pending = 0

  constructor(direction: 'inbound' | 'outbound' = 'inbound') {
    super({ log, direction })
  }

  override sendData(bytes: Bytes): SendResult {
    if (this.broken !== undefined) throw this.broken
    this.sent.push(bytes.slice())
    this.#pending += bytes.byteLength
    this.whileSending?.()
    return { sentBytes: bytes.byteLength, canSendMore: this.#pending < this.capacity }
  }

  /** The peer has read everything. */
  drain(): void {
    this.#pending = 0
    this.safeDispatchEvent('drain')
  }

  /** Takes the frames that were sent so far. */
  takeFrames(): Frame[] {
    return framesOf(this.sent.splice(0))
  }

  override sendReset(): void {}
  override sendPause(): void {}
  override sendResume(): void {}
  override async close(): Promise<void> {
    this.onTransportClosed()
  }
}

/** A muxer of ours on a connection whose other end is the test. */
export function raw(
  options: Partial<typeof muxerOptions> = {},
  direction: 'inbound' | 'outbound' = 'inbound',
): { connection: FakeConnection; muxer: YamuxMuxer } {
  const connection = new FakeConnection(direction)
  const muxer = new YamuxMuxer(connection, { ...muxerOptions, ...options })
  return { connection, muxer }
}

/** Resolves when all that was to be done in this turn of the loop is done. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
