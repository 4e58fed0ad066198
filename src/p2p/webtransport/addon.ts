/**
 * The seam to rwebtransport 0.2.2: HTTP/3 with WebTransport by Cloudflare's quiche, as an N-API addon. Its native
 * functions are called directly: the streams of its JavaScript cost a promise per piece.
 *
 * The build puts the addon of its target in the place of `loadAddon`.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** A listening server; opaque. */
export type NativeServer = object

/** What is called; `session` and `stream` are numbers that events brought. Calls on what is gone do nothing. */
export interface Rwebtransport {
  /** Binds on a thread of its own, which lives until `serverShutdown`; everything else is told by events. */
  serverListen(
    certificatePath: string,
    keyPath: string,
    host: string,
    port: number,
    reusePort: boolean,
    protocols: string[],
    allowedOrigins: string[] | null,
    responseHeaderNames: string[],
    responseHeaderValues: string[],
    onEvent: (event: NativeEvent) => void,
  ): NativeServer
  /** Answered by `streamOpened` with the same `requestId`. */
  serverOpenStream(server: NativeServer, session: number, bidi: boolean, requestId: number): void
  /** Copies the bytes; `writeAck` with the same `requestId` when QUIC has taken them, in order. */
  serverWrite(
    server: NativeServer,
    session: number,
    stream: number,
    bytes: Uint8Array,
    requestId: number,
  ): void
  serverFin(server: NativeServer, session: number, stream: number): void
  serverReset(server: NativeServer, session: number, stream: number, code: number): void
  serverStopSending(server: NativeServer, session: number, stream: number, code: number): void
  /** A paused stream is not read: neither data nor its end nor its reset are told. */
  serverSetPaused(server: NativeServer, session: number, stream: number, paused: boolean): void
  serverCloseSession(server: NativeServer, session: number, code: number, reason: Uint8Array): void
  /** Answered by `stats` if there is such a connection, half-open or not. */
  serverGetStats(server: NativeServer, session: number, requestId: number): void
  serverShutdown(server: NativeServer): void
}

/** Sessions are numbered from 1 in the order in which their QUIC connections began. */
export type NativeEvent =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'serverError'; readonly message: string }
  | { readonly type: 'serverClosed' }
  | SessionEvent

export type SessionEvent = { readonly session: number } & (
  | {
      readonly type: 'serverReady'
      readonly path: string
      readonly remoteAddress: string
      readonly remotePort: number
    }
  | { readonly type: 'stream'; readonly streamId: number; readonly bidi: boolean }
  | { readonly type: 'streamData'; readonly streamId: number; readonly data: Uint8Array }
  | { readonly type: 'streamFin' | 'streamReset' | 'streamStopSending'; readonly streamId: number }
  | { readonly type: 'streamOpened'; readonly requestId: number; readonly streamId: number }
  | { readonly type: 'writeAck'; readonly requestId: number }
  | {
      readonly type: 'stats'
      /** Of UDP, with all that is in them. */
      readonly bytesReceived: number
      readonly packetsReceived: number
      readonly bytesSent: number
    }
  | { readonly type: 'closed' | 'error' | 'datagram' | 'draining' }
)

/** Returns the addon; throws where there is none for this machine, or it does not load. */
export async function loadAddon(): Promise<Rwebtransport> {
  const require = createRequire(import.meta.url)
  const machine = `${process.platform}-${process.arch}`
  return require(
    join(dirname(require.resolve('rwebtransport')), '..', 'prebuilds', machine, 'rwebtransport.node'),
  )
}
