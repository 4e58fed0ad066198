/**
 * One HTTP/3 server with one certificate on one UDP port, and the sessions on it.
 *
 * QUIC connections are seen here before they have asked for a session, though the addon tells nothing of them: their
 * numbers are consecutive, so whether there is a next one can be asked. Each passes `admit`, and one that asks for no
 * session in time is closed. The addon sends a Retry first, so an address is real, and has room for 16,384 connections.
 * What a client sends on no stream of its session the addon keeps or counts for itself: so that is capped.
 *
 * Memory: an entry per QUIC connection, and for a few seconds one for each that was told to go.
 */

import type { NativeEvent, NativeServer, Rwebtransport, SessionEvent } from '#src/p2p/webtransport/addon.ts'
import { H3Session } from '#src/p2p/webtransport/h3-session.ts'

export interface H3ServerOptions {
  /** An IP address. */
  readonly host: string
  /** 0 picks one. */
  readonly port: number
  /** Path of a file with certificate and key in PEM; it is read once. */
  readonly certificatePath: string
  /** The port may be bound by several servers of this user. */
  readonly reusePort: boolean
  /** From a QUIC connection to its request for a session. Default 10 s. */
  readonly sessionTimeoutMs?: number
  /** How often it is looked for new connections and late ones. Default 2 s. */
  readonly lookEveryMs?: number
}

export interface H3ServerSink {
  /** A QUIC connection began; returns what is to be called when it has ended, or `undefined` to close it. */
  admit(): (() => void) | undefined
  /** An established session, whatever its path; false closes it, and it counts no longer. */
  session(session: H3Session): boolean
  /** It ended by itself, with all its sessions. */
  died(): void
}

interface Connection {
  readonly sinceMs: number
  readonly leave: () => void
  session?: H3Session
}

/** How far ahead of the last connection is looked, so that a flood of them is found in a few steps. */
const strides = [1, 16, 256, 4_096]
/** The stream on which a session was asked for. */
const sessionStream = 0
/** Every so many looks each connection is asked what it has sent. */
const looksPerRound = 5

export class H3Server {
  /** Bound. */
  readonly port: number
  readonly #addon: Rwebtransport
  readonly #server: NativeServer
  readonly #sink: H3ServerSink
  readonly #sessionTimeoutMs: number
  readonly #connections = new Map<number, Connection>()
  readonly #looking: ReturnType<typeof setInterval>
  readonly #closed = Promise.withResolvers<void>()
  /** The connection that began last, of those known of. */
  #last = 0
  #looks = 0
  /** Told to go, and not seen to have gone; true when that was a look ago. */
  readonly #leaving = new Map<number, boolean>()
  #gone = false

  /** Resolves once it listens; rejects with the system's words where it cannot. */
  static async listen(addon: Rwebtransport, options: H3ServerOptions, sink: H3ServerSink): Promise<H3Server> {
    const { host, port, certificatePath, reusePort } = options
    const listening = Promise.withResolvers<number>()
    let onEvent = (event: NativeEvent): void => {
      if (event.type === 'listening') listening.resolve(event.port)
      else if (event.type === 'serverError') listening.reject(new Error(event.message))
    }
    const server = addon.serverListen(
      certificatePath,
      certificatePath,
      host.includes(':') ? `[${host}]` : host,
      port,
      reusePort,
      [],
      null,
      [],
      [],
      (event) => onEvent(event),
    )
    const bound = await listening.promise
    const made = new H3Server(addon, server, bound, options, sink)
    onEvent = (event) => made.#take(event)
    return made
  }

  private constructor(
    addon: Rwebtransport,
    server: NativeServer,
    port: number,
    options: H3ServerOptions,
    sink: H3ServerSink,
  ) {
    this.port = port
    this.#addon = addon
    this.#server = server
    this.#sink = sink
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? 10_000
    this.#looking = setInterval(() => this.#look(), options.lookEveryMs ?? 2_000)
    this.#looking.unref()
  }

  /** It serves nobody any more. */
  get gone(): boolean {
    return this.#gone
  }

  /** QUIC connections known of. */
  get connections(): number {
    return this.#connections.size
  }

  /** The addresses of its sessions. */
  get remotes(): { readonly host: string; readonly port: number }[] {
    return [...this.#connections.values()].flatMap(({ session }) => session?.remote ?? [])
  }

  /** Ends it with all its sessions; resolves when the port is free. */
  async close(): Promise<void> {
    if (!this.#gone) {
      this.#gone = true
      clearInterval(this.#looking)
      this.#addon.serverShutdown(this.#server)
    }
    await this.#closed.promise
  }

  /** An exception would go through native code, and take the rest of its events with it: it is thrown after them. */
  #take(event: NativeEvent): void {
    try {
      if ('session' in event) this.#takeOf(event.session, event)
      else if (event.type === 'serverClosed') this.#end()
    } catch (error) {
      if ('session' in event) this.#refuse(event.session)
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #takeOf(id: number, event: SessionEvent): void {
    const isNews = id > this.#last
    this.#known(id)
    if (event.type === 'closed') this.#leaving.delete(id)
    const connection = this.#connections.get(id)
    // Closed here already: it could not be admitted, or was late.
    if (connection === undefined) return
    if (event.type === 'serverReady') {
      const session = new H3Session(this.#addon, this.#server, event, (code) => this.#refuse(id, code))
      connection.session = session
      if (this.#sink.session(session)) return
      this.#refuse(id)
      this.#forget(id)
    } else if (event.type === 'stats') {
      if (isNews && !this.#gone) this.#ask()
      if (connection.session && excessBytes(event, connection.session.readBytes) > 0) this.#refuse(id)
    } else {
      connection.session?.take(event)
      if (event.type === 'closed') this.#forget(id)
    }
  }

  /** Takes up all connections up to this one. Numbers in between that ended were told of when they did. */
  #known(id: number): void {
    while (this.#last < id) {
      this.#last++
      const leave = this.#sink.admit()
      if (leave === undefined) this.#refuse(this.#last)
      else this.#connections.set(this.#last, { sinceMs: performance.now(), leave })
    }
  }

  #look(): void {
    const late = performance.now() - this.#sessionTimeoutMs
    for (const [id, { session, sinceMs }] of this.#connections) {
      if (session !== undefined || sinceMs > late) continue
      this.#refuse(id)
      this.#forget(id)
    }
    for (const [id, isLate] of this.#leaving) {
      if (!isLate) this.#leaving.set(id, true)
      else this.#abandon(id)
    }
    this.#looks++
    for (const id of this.#connections.keys())
      if (id % looksPerRound === this.#looks % looksPerRound) this.#askOf(id)
    this.#ask()
  }

  #ask(): void {
    for (const stride of strides) this.#askOf(this.#last + stride)
  }

  #askOf(id: number): void {
    this.#addon.serverGetStats(this.#server, id, 0)
  }

  #refuse(id: number, code = 0): void {
    this.#addon.serverCloseSession(this.#server, id, code, new Uint8Array())
    if (!this.#leaving.has(id)) this.#leaving.set(id, false)
  }

  /** The addon has a last word for the client, and waits for as long as that leaves no room for it: it is dropped. */
  #abandon(id: number): void {
    this.#addon.serverReset(this.#server, id, sessionStream, 0)
    this.#leaving.delete(id)
  }

  #forget(id: number): void {
    this.#connections.get(id)?.leave()
    this.#connections.delete(id)
  }

  /** The thread has ended, and with it all that was on it. */
  #end(): void {
    const died = !this.#gone
    this.#gone = true
    clearInterval(this.#looking)
    this.#leaving.clear()
    for (const [id, { session }] of this.#connections) {
      session?.take({ type: 'closed', session: id })
      this.#forget(id)
    }
    this.#closed.resolve()
    if (died) this.#sink.died()
  }
}

/** Of a packet: its head, with a number of the connection, and its seal. */
const packetOverheadBytes = 36
/** For what is unread while streams are paused, which is no more than QUIC's largest window (24 MiB), and for pings. */
const freeBytes = 32 * 1024 * 1024

/**
 * Returns how much more a client has sent beside the data of its streams than one does that means well: heads of frames,
 * answers to what it was sent (a thirtieth of that), and what was sent twice.
 */
function excessBytes(stats: SessionEvent & { readonly type: 'stats' }, readBytes: number): number {
  const { bytesReceived, packetsReceived, bytesSent } = stats
  const hidden = bytesReceived - packetsReceived * packetOverheadBytes - readBytes
  return hidden - freeBytes - readBytes / 2 - bytesSent / 32
}
