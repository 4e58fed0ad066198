/**
 * The short way through the library's message streams. The library puts every piece that is read or sent into a list,
 * takes it out again, and dispatches an event; where nothing waits, one call does the same.
 *
 * Invariant: order and backpressure are the library's. The short way is taken only while a stream is open, not paused,
 * and has nothing buffered in that direction; everything else goes the library's way. Keeps nothing but two functions
 * per stream.
 */

import type { MessageStream } from '@libp2p/interface'
import type { AbstractMessageStream } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { asError } from '#src/util/errors.ts'
import { eachPiece } from '#src/util/pieces.ts'

export type Bytes = Uint8Array | Uint8ArrayList

/** Takes what was read, piece by piece, in order. Throws nothing. */
export type Taker = (bytes: Uint8Array) => void

/** A connection as a muxer sees it: the library's streams tell more than its interface says. */
export type MuxedConnection = MessageStream &
  Pick<AbstractMessageStream, 'readStatus' | 'writeStatus'> & {
    /** Writes now what would wait for the end of the turn, where anything does. */
    flush?: () => void
  }

/** What the library's message streams are made of, so far as it is touched here (utils 7.4.1). */
interface Inner {
  readonly readStatus: string
  readonly writeStatus: string
  writableNeedsDrain: boolean
  sendingData: boolean
  /** The library cuts what is larger. */
  readonly maxMessageSize?: number
  readonly readBuffer: Uint8ArrayList
  readonly writeBuffer: Uint8ArrayList
  abort(error: Error): void
  safeDispatchEvent(name: 'idle'): void
  onData(bytes: Bytes): void
  send(bytes: Bytes): boolean
  processSendQueue(): boolean
  /** Leaves what it is given as it is (the library's own yamux does not, and has no short way). */
  sendData(bytes: Bytes): { sentBytes: number; canSendMore: boolean }
}

/** What is sent on the stream goes straight to its `sendData`, while nothing waits to be sent before it. */
export function sendShort(stream: MessageStream): void {
  const inner = stream as unknown as Inner
  const longWay = inner.send.bind(inner)
  inner.send = (bytes) => {
    const { byteLength } = bytes
    if (byteLength === 0 || !canSend(inner, byteLength)) return longWay(bytes)
    inner.sendingData = true
    try {
      const { sentBytes, canSendMore } = inner.sendData(bytes)
      if (sentBytes < byteLength) inner.writeBuffer.prepend(rest(bytes, sentBytes))
      if (!canSendMore) inner.writableNeedsDrain = true
    } catch (error) {
      inner.abort(error as Error)
      throw error
    } finally {
      inner.sendingData = false
    }
    // What somebody sent meanwhile has waited, and who closed meanwhile waits still.
    if (inner.writeBuffer.byteLength > 0) return inner.processSendQueue()
    if (inner.writeStatus === 'closing') inner.safeDispatchEvent('idle')
    return !inner.writableNeedsDrain
  }
}

/** Returns what is left of it; a copy if that is little, which would keep all that it is a part of. */
function rest(bytes: Bytes, from: number): Bytes {
  const left = part(bytes, from)
  return left.byteLength < littleBytes ? new Uint8Array(left.subarray()) : left
}

const littleBytes = 4096

/** Returns a part of it without copying. */
export function part(bytes: Bytes, from: number, to?: number): Bytes {
  return bytes instanceof Uint8Array ? bytes.subarray(from, to) : bytes.sublist(from, to)
}

function canSend(inner: Inner, byteLength: number): boolean {
  return (
    inner.writeStatus === 'writable' &&
    !inner.writableNeedsDrain &&
    !inner.sendingData &&
    inner.writeBuffer.byteLength === 0 &&
    byteLength <= (inner.maxMessageSize ?? byteLength)
  )
}

/**
 * What comes on the stream goes straight to `take`, while nothing waits to be read before it. What had to wait comes by
 * `message` events, so `take` must be called by a listener of these as well.
 */
export function readShort(stream: MessageStream, take: Taker): void {
  const inner = stream as unknown as Inner
  const longWay = inner.onData.bind(inner)
  inner.onData = (bytes) => {
    if (inner.readStatus !== 'readable' || inner.readBuffer.byteLength > 0) longWay(bytes)
    else eachPiece(bytes, take)
  }
}

/** A stream that hands over what it reads without events, if it is one of ours. */
export interface ShortStream extends MessageStream {
  /** Called when the peer is seen to have read something. */
  onRead?: (() => void) | undefined
  /** Nobody waits for the end of our side when the peer has ended its own. */
  lingers?: boolean
  /** Everything read from now on goes to `take`, what waits already included. */
  readBy(take: Taker): void
}

/**
 * Gives all that comes to `take`, by both ways, until the stream is closed, which may be within a piece; what `take` throws
 * ends the stream. For streams of ours: what waits already is theirs to hand over.
 */
export function readSafely(stream: ReadableShort, take: Taker): void {
  const safely = (bytes: Uint8Array): void => {
    if (stream.readStatus === 'closed' || stream.readStatus === 'closing') return
    try {
      take(bytes)
    } catch (error) {
      stream.abort(asError(error))
    }
  }
  stream.addEventListener('message', (event) => eachPiece(event.data, safely))
  readShort(stream, safely)
}

type ReadableShort = MessageStream & Pick<AbstractMessageStream, 'readStatus'>

/** Reads a stream by `take`, the short way where it has one. */
export function readBy(stream: MessageStream, take: Taker): void {
  const short = stream as Partial<ShortStream>
  if (typeof short.readBy === 'function') short.readBy(take)
  else stream.addEventListener('message', (event) => eachPiece(event.data, take))
}

/** Has `read` called whenever the peer is seen to have read something that was sent on the stream, where that can be seen. */
export function whenRead(stream: MessageStream, read: () => void): void {
  if ('onRead' in stream) (stream as ShortStream).onRead = read
}

/** Has the end of our side, once the peer has ended its own, leave with what else is sent. */
export function linger(stream: MessageStream): void {
  if ('lingers' in stream) (stream as ShortStream).lingers = true
}
