/**
 * yamux (hashicorp/yamux, spec.md), as libp2p has muxers: many streams on one connection, each with its own window.
 *
 * Ours, because the library's spends more on moving a small message through it than sealing that message costs: here
 * what is read goes to the stream's reader as it comes, small frames leave together, and a stream for a protocol that
 * is served here is accepted at once (`quick-select`).
 *
 * Invariant: a peer that sends more than it was granted, or what is no frame, loses its connection. Memory:
 * `maxStreams` streams; unread bytes stop the connection at `maxUnreadBytes`; windows grow by `maxGrowthBytes` in all.
 */

import '#src/mux/lean-events.ts'
import {
  type AbortOptions,
  MuxerClosedError,
  type StreamMuxerFactory,
  TooManyOutboundProtocolStreamsError,
} from '@libp2p/interface'
import { AbstractStreamMuxer } from '@libp2p/utils'
import { FrameSender, type SenderHost } from '#src/mux/frame-sender.ts'
import { type Beat, heart } from '#src/mux/heart.ts'
import { type QuickHandler, QuickSelect } from '#src/mux/quick-select.ts'
import { ReadGate } from '#src/mux/read-gate.ts'
import type { Allowance } from '#src/mux/receive-window.ts'
import { type Bytes, type MuxedConnection, readShort } from '#src/mux/short-way.ts'
import { FrameReader, type FrameTaker, flags, frameTypes, writeHeader } from '#src/mux/yamux-frame.ts'
import { type StreamOwner, YamuxStream } from '#src/mux/yamux-stream.ts'
import { emptied } from '#src/util/emptied.ts'
import { eachPiece } from '#src/util/pieces.ts'

const yamuxProtocol = '/yamux/1.0.0'

export interface YamuxOptions {
  /** Streams of one connection in each direction; what the peer opens beyond is reset. */
  readonly maxStreams: number
  /** Streams that come before anyone listens for them; one more ends the connection. */
  readonly maxEarlyStreams: number
  /** What the peer may send at first on a stream that it opens: as soon as it hears that the stream is accepted. */
  readonly firstWindow: number
  /** What the receive window of a stream may grow to. */
  readonly largestWindow: number
  /** What all windows of a connection may grow by together. */
  readonly maxGrowthBytes: number
  /** Unread bytes of all streams at which the connection is not read any further for a while. */
  readonly maxUnreadBytes: number
}

const goAway = { normal: 0, protocolError: 1, internalError: 2 } as const

/** Returns the muxer for libp2p's `streamMuxers`. */
export function yamux(options: YamuxOptions): () => StreamMuxerFactory {
  return () => ({
    protocol: yamuxProtocol,
    createStreamMuxer: (connection) => new YamuxMuxer(connection as MuxedConnection, options),
  })
}

export class YamuxMuxer
  extends AbstractStreamMuxer<YamuxStream>
  implements StreamOwner, FrameTaker, SenderHost, Beat
{
  readonly connection: MuxedConnection
  readonly allowance: Allowance
  heardMs = performance.now()
  readonly #options: YamuxOptions
  readonly #reader: FrameReader
  readonly #sender: FrameSender
  readonly #gate: ReadGate
  readonly #quick = new QuickSelect()
  readonly #byId = new Map<number, YamuxStream>()
  readonly #opened = { inbound: 0, outbound: 0 }
  /** Streams that the peer does not know of yet, or not that they are accepted. */
  #fresh: YamuxStream[] = []
  /** Ours are odd where we dialled. */
  #nextId: number
  #nextPing = 0
  #peerLeaves = false
  /** The data frame that is being read. */
  #reading: { stream: YamuxStream; flag: number } | undefined

  constructor(connection: MuxedConnection, options: YamuxOptions) {
    super(connection, { protocol: yamuxProtocol, name: 'yamux', maxEarlyStreams: options.maxEarlyStreams })
    this.connection = connection
    this.#options = options
    this.allowance = { leftBytes: options.maxGrowthBytes }
    this.#nextId = connection.direction === 'outbound' ? 1 : 2
    this.#reader = new FrameReader(this)
    this.#sender = new FrameSender(this)
    this.#gate = new ReadGate(connection, options.maxUnreadBytes)
    connection.addEventListener('drain', () => {
      // The library's round leaves out who stands behind a stream that ends within it.
      if (!connection.writableNeedsDrain) for (const stream of [...this.streams]) stream.onMuxerDrain()
      this.#gate.backedUp(false)
    })
    readShort(connection, (bytes) => {
      try {
        this.onData(bytes)
      } catch (error) {
        this.abort(error as Error)
        connection.abort(error as Error)
      }
    })
    // Who hung up before there was a muxer is not heard to end any more.
    if (connection.status === 'open') heart.join(this)
  }

  /** Accepts streams for `protocols` without the library from now on, and gives them to `handler`. */
  serve(protocols: readonly string[], handler: QuickHandler): void {
    this.#quick.serve(protocols, handler)
  }

  override onData(bytes: Bytes): void {
    this.heardMs = performance.now()
    eachPiece(bytes, (piece) => this.#reader.push(piece))
  }

  override onCreateStream(): YamuxStream {
    if (this.#peerLeaves) throw new MuxerClosedError('the peer takes no new streams')
    if (this.#opened.outbound >= this.#options.maxStreams) {
      throw new TooManyOutboundProtocolStreamsError('too many streams on one connection')
    }
    this.#nextId += 2
    return this.#add(this.#nextId - 2, 'outbound')
  }

  override async close(options?: AbortOptions): Promise<void> {
    if (this.status !== 'open') return
    await super.close(options)
    this.#leave(goAway.normal)
  }

  override abort(error: Error): void {
    if (this.status === 'closed') return
    super.abort(error)
    this.#leave(error instanceof ProtocolError ? goAway.protocolError : goAway.internalError)
  }

  override onRemoteStream(stream: YamuxStream): void {
    super.onRemoteStream(stream)
    // Too many early ones end the muxer, and nobody else would tell the connection.
    if (this.status === 'closed') this.connection.abort(new Error('the muxer ended'))
  }

  override onTransportClosed(error?: Error): void {
    heart.leave(this)
    super.onTransportClosed(error)
  }

  // For its streams.

  queueData(flag: number, id: number, bytes: Bytes): void {
    this.#sender.queue(writeHeader(frameTypes.data, flag, id, bytes.byteLength), bytes)
  }

  sendQueued(): boolean {
    return this.#sender.send()
  }

  sendUpdate(flag: number, id: number, window: number): void {
    this.#sender.control(writeHeader(frameTypes.windowUpdate, flag, id, window))
  }

  sendEnd(flag: number, id: number): void {
    this.#sender.controlLater(writeHeader(frameTypes.windowUpdate, flag, id, 0))
  }

  sendNow(): void {
    this.#sender.flush()
    this.connection.flush?.()
  }

  held(bytes: number): void {
    this.#gate.held(bytes)
  }

  // For its sender.

  leaving(): void {
    if (this.#fresh.length === 0) return
    const fresh = this.#fresh.slice()
    this.#fresh = emptied(this.#fresh)
    for (const stream of fresh) stream.announce()
  }

  backedUp(): void {
    this.#gate.backedUp(true)
  }

  // For the heart.

  ping(): void {
    this.#nextPing = (this.#nextPing + 1) % 2 ** 32
    this.#sender.control(writeHeader(frameTypes.ping, flags.syn, 0, this.#nextPing))
  }

  dropSilent(sinceMs: number): void {
    for (const stream of this.#quick.silentSince(sinceMs)) stream.abort(new Error('no protocol in time'))
  }

  // What the peer sends.

  header(type: number, flag: number, id: number, length: number): void {
    if (id === 0) return this.#session(type, flag, length)
    if (type > frameTypes.windowUpdate) throw new ProtocolError('a yamux frame that is not for streams')
    if ((flag & flags.syn) !== 0) this.#open(id)
    const stream = this.#byId.get(id)
    if (stream === undefined) return
    if (type === frameTypes.windowUpdate) {
      stream.granted(length, (flag & flags.ack) !== 0)
      this.#ended(stream, flag)
    } else {
      // Behind its FIN there is no data.
      if (stream.remoteWriteStatus === 'closed') return this.#ended(stream, flag)
      if (!stream.charge(length)) throw new ProtocolError('more than the window of a stream allows')
      this.#reading = { stream, flag }
    }
  }

  body(bytes: Uint8Array): void {
    this.#reading?.stream.receive(bytes)
  }

  end(): void {
    if (this.#reading === undefined) return
    const { stream, flag } = this.#reading
    this.#reading = undefined
    if (this.#quick.waits(stream)) this.#select(stream)
    this.#ended(stream, flag)
    stream.replenish()
  }

  #session(type: number, flag: number, length: number): void {
    if (type === frameTypes.ping) {
      if (flag === flags.syn) this.#sender.control(writeHeader(frameTypes.ping, flags.ack, 0, length))
    } else if (type !== frameTypes.goAway) {
      throw new ProtocolError('a yamux frame that is not for the session')
    } else if (length === goAway.normal) {
      this.#peerLeaves = true
    } else {
      throw new Error(`the peer ended the yamux session, reason ${length}`)
    }
  }

  #open(id: number): void {
    if (id % 2 === this.#nextId % 2) throw new ProtocolError('a stream number that is not the peer’s to give')
    if (this.#byId.has(id)) return
    if (this.status !== 'open' || this.#opened.inbound >= this.#options.maxStreams) {
      return this.sendUpdate(flags.rst, id, 0)
    }
    const stream = this.#add(id, 'inbound')
    if (!this.#quick.serving) return this.onRemoteStream(stream)
    this.streams.push(stream)
    this.#quick.wait(stream, this.heardMs)
  }

  /** The first frame of a stream is here: it is one of ours, or for the library to find out. */
  #select(stream: YamuxStream): void {
    if (this.#quick.select(stream)) return
    this.#unlist(stream)
    this.onRemoteStream(stream)
  }

  #ended(stream: YamuxStream, flag: number): void {
    if (stream.status !== 'open') return
    if ((flag & flags.rst) !== 0) stream.onRemoteReset()
    else if ((flag & flags.fin) !== 0) stream.onRemoteCloseWrite()
  }

  #add(id: number, direction: 'inbound' | 'outbound'): YamuxStream {
    const { firstWindow, largestWindow } = this.#options
    const stream = new YamuxStream({ id, direction, firstWindow, largestWindow, log: this.log }, this)
    this.#byId.set(id, stream)
    this.#opened[direction]++
    stream.addEventListener('close', () => this.#forget(stream), { once: true })
    this.#fresh.push(stream)
    this.#sender.soon()
    return stream
  }

  #forget(stream: YamuxStream): void {
    if (!this.#byId.delete(stream.number)) return
    this.#opened[stream.direction]--
    this.#quick.forget(stream)
    this.#unlist(stream)
    stream.release()
  }

  #unlist(stream: YamuxStream): void {
    const index = this.streams.indexOf(stream)
    if (index >= 0) this.streams.splice(index, 1)
  }

  #leave(reason: number): void {
    heart.leave(this)
    this.#sender.control(writeHeader(frameTypes.goAway, 0, 0, reason))
    this.#sender.flush()
  }
}

class ProtocolError extends Error {}
