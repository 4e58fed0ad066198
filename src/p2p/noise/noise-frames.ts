import type { MessageStream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { type Bytes, type MuxedConnection, part, readShort, sendShort } from '#src/mux/short-way.ts'
import { lend } from '#src/p2p/tcp/send-buffers.ts'
import { asError } from '#src/util/errors.ts'
import { eachPiece } from '#src/util/pieces.ts'

/**
 * Noise transport frames without the library's copies: a message is sealed out of the pieces in which it comes into one
 * buffer, length prefixes included, and a frame is opened in place in the memory it was received in.
 *
 * Invariant: frames are those of the library, byte for byte. Memory: one buffer per message sent; of what
 * is received, the frame that is not whole yet (64 KiB).
 */

const tagBytes = 16
const prefixBytes = 2
const maxFrameBytes = 65_535
const maxPlainBytes = maxFrameBytes - tagBytes

/** What the library's encrypted stream is made of, so far as it is replaced here (noise 17.0.3). */
interface EncryptedStream {
  /** The connection below. */
  readonly stream: MessageStream
  readonly handshake: {
    decrypt(frame: Uint8Array, target: Uint8Array): Uint8Array | Uint8ArrayList
    encrypt(plain: Bytes): Uint8Array | Uint8ArrayList
  }
  decoder: {
    decode(bytes: Bytes): Iterable<Uint8Array>
    /** What it holds of a frame that is not whole. */
    readonly buffer?: Uint8ArrayList
  }
  decrypt(frame: Uint8Array): Uint8Array | Uint8ArrayList
  sendData(message: Bytes): { sentBytes: number; canSendMore: boolean }
  onData(plain: Bytes): void
  abort(error: Error): void
}

/** Where the next frame is to be sealed, for the AEAD below the library; set only within `encrypt`. */
let sealTarget: Uint8Array | undefined

/** Returns where to seal, in place of new memory; at most once per frame. */
export function takeSealTarget(): Uint8Array | undefined {
  const target = sealTarget
  sealTarget = undefined
  return target
}

/** Replaces how a secured connection cuts and joins its frames, and shortens the ways through it and below it. */
export function quickenFrames(connection: MessageStream): MessageStream {
  const stream = connection as unknown as EncryptedStream
  const { handshake } = stream
  // The peer may have sent more right behind the handshake: the library's decoder has seen that already.
  const seen = stream.decoder.buffer?.slice() ?? new Uint8Array(0)
  const splitter = new FrameSplitter()
  splitter.push(seen, () => {
    throw new Error('the library left a whole frame behind')
  })
  stream.decoder = splitter
  stream.decrypt = (frame) => handshake.decrypt(frame, frame.subarray(0, frame.length - tagBytes))
  stream.sendData = (message) => {
    const { byteLength } = message
    // What fills no frame leaves by a write of its own: behind others in one, the last packet of a block was sent once some
    // of them were acknowledged, its own acknowledgement came late, and BBR took that for all that the path can carry.
    const unfilled = byteLength % maxPlainBytes
    const cut = unfilled === 0 ? 0 : byteLength - unfilled
    if (cut > 0) stream.stream.send(sealAll(part(message, 0, cut), handshake))
    const canSendMore = stream.stream.send(sealAll(cut > 0 ? part(message, cut) : message, handshake))
    return { sentBytes: byteLength, canSendMore }
  }
  sendShort(connection)
  sendShort(stream.stream)
  ;(connection as MuxedConnection).flush = () => (stream.stream as MuxedConnection).flush?.()
  const opened = (frame: Uint8Array): void => stream.onData(stream.decrypt(frame))
  readShort(stream.stream, (bytes) => {
    try {
      splitter.push(bytes, opened)
    } catch (error) {
      stream.abort(asError(error))
    }
  })
  return connection
}

function sealAll(message: Bytes, handshake: EncryptedStream['handshake']): Uint8ArrayList {
  const total = message.byteLength
  const frames = Math.ceil(total / maxPlainBytes)
  const output = lend(total + frames * (prefixBytes + tagBytes))
  let at = 0
  for (let from = 0; from < total; from += maxPlainBytes) {
    const plain = part(message, from, Math.min(total, from + maxPlainBytes))
    const frameBytes = plain.byteLength + tagBytes
    output[at++] = frameBytes >> 8
    output[at++] = frameBytes & 0xff
    sealTarget = output.subarray(at, at + frameBytes)
    const result = handshake.encrypt(plain)
    // A cipher that has memory of its own leaves the target alone.
    if (takeSealTarget() !== undefined) output.set(result.subarray(), at)
    at += frameBytes
  }
  return new Uint8ArrayList(output)
}

/** Cuts what is received into frames, without their length; a frame in one piece is not copied. */
class FrameSplitter {
  #partial: Uint8Array | undefined
  #have = 0
  /** The first byte of a length whose second has not come. */
  #high: number | undefined

  /** Returns the frames that `bytes` complete. */
  decode(bytes: Bytes): Uint8Array[] {
    const frames: Uint8Array[] = []
    eachPiece(bytes, (piece) => this.push(piece, (frame) => frames.push(frame)))
    return frames
  }

  /** Calls `take` for each frame that `bytes` complete. */
  push(bytes: Uint8Array, take: (frame: Uint8Array) => void): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#partial !== undefined) {
        const piece = bytes.subarray(at, at + this.#partial.length - this.#have)
        this.#partial.set(piece, this.#have)
        this.#have += piece.length
        at += piece.length
        if (this.#have < this.#partial.length) return
        const whole = this.#partial
        this.#partial = undefined
        take(whole)
        continue
      }
      const high = this.#high ?? (bytes[at++] as number)
      this.#high = undefined
      if (at === bytes.length) {
        this.#high = high
        return
      }
      const length = high * 256 + (bytes[at++] as number)
      if (length < tagBytes) throw new Error('a Noise frame shorter than its tag')
      if (bytes.length - at >= length) {
        take(bytes.subarray(at, at + length))
        at += length
      } else {
        this.#partial = Buffer.allocUnsafeSlow(length)
        this.#have = 0
      }
    }
  }
}
