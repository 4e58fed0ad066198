/**
 * TLS 1.3 between libp2p's peers, after its specification (specs/tls/tls.md): the runtime's own TLS on the connection's
 * socket. Sealing, opening and framing happen below JavaScript, and libp2p has one stream less on the way. A connection
 * that has no socket of its own (a WebSocket, one of a private network), or whose peer spoke before it was its turn or
 * before this was ready, has it on top of its stream (`peer-tls-stream`).
 *
 * Invariant: a connection is secured or it is dead; whom it leads to has signed the certificate. Memory: what the
 * connection's TLS session holds; certificate and settings are shared by all connections of a host, and made for the
 * first one: no start waits for them.
 */

import { constants } from 'node:crypto'
import { Socket } from 'node:net'
import type { SecureContext, TLSSocket, TLSSocketOptions } from 'node:tls'
import {
  type ConnectionEncrypter,
  type MessageStream,
  type PrivateKey,
  type SecureConnectionOptions,
  type SecuredConnection,
  UnexpectedPeerError,
  type Upgrader,
} from '@libp2p/interface'
import { sendShort } from '#src/mux/short-way.ts'
import { overStream } from '#src/p2p/peer-tls/peer-tls-stream.ts'
import { replaceSocket, type SocketConnection } from '#src/p2p/tcp/socket-connection.ts'
import { asError } from '#src/util/errors.ts'

export const tlsProtocol = '/tls/1.0.0'

/** Named in the handshake by who leaves the muxer for later. */
const noMuxer = 'libp2p'

/** Bun can put TLS on a socket that has been used; Deno fails in the handshake. */
export const hasPeerTls = process.versions.bun !== undefined

/** For the handshake of a dial; short enough that Noise can be tried within the same one. */
const dialHandshakeMs = 4_000

interface Components {
  readonly privateKey: PrivateKey
  readonly upgrader: Pick<Upgrader, 'getStreamMuxers'>
}

type Options = SecureConnectionOptions & { signal?: AbortSignal }

/** What all handshakes of a host have in common: code, and its certificate. */
interface Tools {
  readonly tls: typeof import('node:tls')
  readonly context: SecureContext
  readonly provenPeer: typeof import('#src/p2p/peer-tls/peer-certificate.ts').provenPeer
}

async function makeTools(privateKey: PrivateKey): Promise<Tools> {
  const [tls, { makeCertificate, provenPeer }] = await Promise.all([
    import('node:tls'),
    import('#src/p2p/peer-tls/peer-certificate.ts'),
  ])
  const context = tls.createSecureContext({
    ...(await makeCertificate(privateKey)),
    minVersion: 'TLSv1.3',
    // Nobody resumes a session: peers prove who they are each time.
    secureOptions: constants.SSL_OP_NO_TICKET,
  })
  return { tls, context, provenPeer }
}

/** Returns libp2p's TLS, with a certificate of this host's key. */
export function peerTls(): (components: Components) => ConnectionEncrypter {
  return (components) => new PeerTls(components)
}

class PeerTls implements ConnectionEncrypter {
  readonly protocol = tlsProtocol
  readonly #components: Components
  #tools: Tools | undefined
  #making: Promise<Tools> | undefined

  constructor(components: Components) {
    this.#components = components
  }

  /** The upgrader's signal is all that bounds it. */
  secureInbound(connection: MessageStream, options: Options = {}): Promise<SecuredConnection> {
    return this.#secure(connection, 'server', options)
  }

  async secureOutbound(connection: MessageStream, options: Options = {}): Promise<SecuredConnection> {
    const limit = AbortSignal.timeout(dialHandshakeMs)
    const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit])
    try {
      return await this.#secure(connection, 'client', { ...options, signal })
    } catch (error) {
      const failed = connection as unknown as SocketConnection
      failed.tlsFailed = asError(error)
      throw error
    }
  }

  async #secure(
    connection: MessageStream,
    side: 'client' | 'server',
    options: Options,
  ): Promise<SecuredConnection> {
    const { privateKey, upgrader } = this.#components
    this.#making ??= makeTools(privateKey)
    this.#tools ??= await this.#making
    const { tls, context, provenPeer } = this.#tools
    const muxers = upgrader.getStreamMuxers()
    const names = options.skipStreamMuxerNegotiation === true ? [] : muxers.keys()
    const settings: TLSSocketOptions = {
      secureContext: context,
      // Certificates of libp2p are signed by themselves; what they say is verified below.
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: [...names, noMuxer],
    }
    const bare = bareSocket(connection)
    const over = bare === undefined ? overStream(connection) : undefined
    const below = bare ?? over?.duplex
    // Nothing is awaited from the look at the socket until here: what the peer says next is for TLS.
    const socket =
      side === 'client'
        ? tls.connect({ ...settings, socket: below as Socket })
        : new tls.TLSSocket(below as Socket, { ...settings, isServer: true })
    try {
      await shaken(socket, side === 'client' ? 'secureConnect' : 'secure', options.signal)
      const remotePeer = await provenPeer(socket.getPeerCertificate().raw)
      if (options.remotePeer?.equals(remotePeer) === false) throw new UnexpectedPeerError()
      if (socket.destroyed) throw new Error('the peer closed the connection after the TLS handshake')
      if (bare !== undefined) replaceSocket(connection as unknown as SocketConnection, socket)
      const secured = over?.stream(socket) ?? connection
      sendShort(secured)
      const streamMuxer = muxers.get(socket.alpnProtocol || noMuxer)
      return { connection: secured, remotePeer, ...(streamMuxer && { streamMuxer }) }
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
}

/** Returns the connection's socket, if it has one and nothing has been read from it that TLS would have to know. */
function bareSocket(connection: MessageStream): Socket | undefined {
  const { socket, readBufferLength } = connection as Partial<SocketConnection>
  return socket instanceof Socket && readBufferLength === 0 ? socket : undefined
}

/** Resolves when both sides have the keys; rejects when the socket fails, closes, or time is up. */
async function shaken(
  socket: TLSSocket,
  event: 'secure' | 'secureConnect',
  signal: AbortSignal | undefined,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const closed = (): void => reject(new Error('the peer closed the connection in the TLS handshake'))
  const late = (): void => reject(new Error('no TLS handshake in time', { cause: signal?.reason }))
  // Stays: an error that nobody listens to would end the process.
  socket.on('error', reject)
  socket.once('close', closed)
  socket.once(event, () => resolve())
  signal?.addEventListener('abort', late, { once: true })
  if (signal?.aborted === true) late()
  try {
    await promise
  } finally {
    socket.off('close', closed)
    signal?.removeEventListener('abort', late)
  }
}
