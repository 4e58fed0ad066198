/**
 * One WebTransport session of an HTTP/3 server: its streams by number, and what can be done to them.
 *
 * Invariant: after `closed` nothing is told any more. Memory: an entry per open stream, of which QUIC lets the peer
 * have 256 at a time.
 */

import { plainHost } from '#src/p2p/addresses.ts'
import type { NativeServer, Rwebtransport, SessionEvent } from '#src/p2p/webtransport/addon.ts'

/** Whom a stream tells what happens to it. Throws nothing. */
export interface StreamSink {
  data(bytes: Uint8Array): void
  /** The peer has ended its side. */
  ended(): void
  /** The peer gives up its side: nothing more comes. */
  wasReset(): void
  /** The peer takes nothing more. */
  stopped(): void
  /** QUIC has taken the eldest piece that `write` was given and that it had not taken yet. */
  written(): void
}

/** Whom a session tells. */
export interface SessionSink {
  /** The peer opened a stream; returns whom it tells. */
  stream(id: number): StreamSink
  closed(): void
}

interface Opening {
  sinkOf(id: number): StreamSink
  resolve(): void
  reject(error: Error): void
}

/** The peer speaks something else than libp2p: streams in one direction, or datagrams. */
const foreignCode = 1

export class H3Session {
  readonly path: string
  readonly remote: { readonly host: string; readonly port: number }
  readonly #addon: Rwebtransport
  readonly #server: NativeServer
  readonly #id: number
  readonly #closeConnection: (code: number) => void
  readonly #streams = new Map<number, StreamSink>()
  readonly #opening = new Map<number, Opening>()
  readonly #farewells: (() => void)[] = []
  #sink: SessionSink | undefined
  #requests = 0
  #open = true
  #readBytes = 0

  constructor(
    addon: Rwebtransport,
    server: NativeServer,
    event: SessionEvent & { readonly type: 'serverReady' },
    closeConnection: (code: number) => void,
  ) {
    this.#addon = addon
    this.#server = server
    this.#id = event.session
    this.#closeConnection = closeConnection
    this.path = event.path
    this.remote = { host: plainHost(event.remoteAddress) ?? event.remoteAddress, port: event.remotePort }
  }

  /** Says who is told; in the same turn in which the session came, so that nothing is missed. */
  tell(sink: SessionSink): void {
    this.#sink = sink
  }

  /** Says what is to be done when its connection is gone. */
  whenClosed(action: () => void): void {
    this.#farewells.push(action)
  }

  /** Opens a stream of ours: resolves once it has a number, of which `sinkOf` is told; rejects when the session ends first. */
  async openStream(sinkOf: (id: number) => StreamSink): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (this.#open) {
      const request = ++this.#requests
      this.#opening.set(request, { sinkOf, resolve, reject })
      this.#addon.serverOpenStream(this.#server, this.#id, true, request)
    } else {
      reject(closedError())
    }
    return promise
  }

  /** Hands over bytes, which are copied; `written` tells when they have gone further. */
  write(stream: number, bytes: Uint8Array): void {
    // QUIC takes the pieces of a stream in order: the number of the stream is all that must be told apart.
    if (this.#open) this.#addon.serverWrite(this.#server, this.#id, stream, bytes, stream)
  }

  /** Ends our side, behind what was written. */
  fin(stream: number): void {
    if (this.#open) this.#addon.serverFin(this.#server, this.#id, stream)
  }

  /** Gives up our side of a stream. */
  reset(stream: number): void {
    if (this.#open) this.#addon.serverReset(this.#server, this.#id, stream, 0)
  }

  /** Tells the peer to send nothing more; nothing more is told of its side. */
  stopSending(stream: number): void {
    if (this.#open) this.#addon.serverStopSending(this.#server, this.#id, stream, 0)
  }

  /** Leaves what comes with QUIC, whose windows stop the peer. */
  pause(stream: number, paused: boolean): void {
    if (this.#open) this.#addon.serverSetPaused(this.#server, this.#id, stream, paused)
  }

  /** The stream is over: nobody is told of it any more. */
  forget(stream: number): void {
    this.#streams.delete(stream)
  }

  /** Ends it; `closed` is told when the connection is gone. */
  close(code = 0): void {
    if (this.#open) this.#closeConnection(code)
  }

  /** What has come on its streams. */
  get readBytes(): number {
    return this.#readBytes
  }

  /** Takes an event of this session. */
  take(event: SessionEvent): void {
    if (!this.#open) return
    switch (event.type) {
      case 'stream':
        if (event.bidi && this.#sink) this.#streams.set(event.streamId, this.#sink.stream(event.streamId))
        else this.close(foreignCode)
        break
      case 'streamData':
        this.#readBytes += event.data.byteLength
        this.#streams.get(event.streamId)?.data(event.data)
        break
      case 'streamFin':
        this.#streams.get(event.streamId)?.ended()
        break
      case 'streamReset':
        this.#streams.get(event.streamId)?.wasReset()
        break
      case 'streamStopSending':
        this.#streams.get(event.streamId)?.stopped()
        break
      case 'writeAck':
        this.#streams.get(event.requestId)?.written()
        break
      case 'streamOpened':
        this.#opened(event.requestId, event.streamId)
        break
      case 'datagram':
        this.close(foreignCode)
        break
      case 'closed':
        this.#close()
        break
      default:
        break
    }
  }

  #opened(request: number, stream: number): void {
    const opening = this.#opening.get(request)
    this.#opening.delete(request)
    if (opening === undefined) return
    this.#streams.set(stream, opening.sinkOf(stream))
    opening.resolve()
  }

  #close(): void {
    this.#open = false
    for (const { reject } of this.#opening.values()) reject(closedError())
    this.#opening.clear()
    this.#streams.clear()
    for (const action of this.#farewells) action()
    this.#sink?.closed()
  }
}

function closedError(): Error {
  return new Error('the WebTransport session is closed')
}
