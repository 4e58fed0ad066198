/**
 * TLS 1.3 towards backends, after libp2p's specification (specs/tls/tls.md): the runtime's own TLS on the lane's
 * socket. Sealing, opening and framing happen below JavaScript, and libp2p has one stream less on the way.
 *
 * Invariant: a connection is secured in place or it is dead; whom it leads to has signed the certificate. Memory: what
 * the socket's TLS session holds, and one certificate per host.
 */

import { connect, type TLSSocket } from 'node:tls'
import type {
  ConnectionEncrypter,
  MessageStream,
  PrivateKey,
  SecureConnectionOptions,
  SecuredConnection,
  Upgrader,
} from '@libp2p/interface'
import { sendShort } from '#src/mux/short-way.ts'
import { replaceSocket, type SocketConnection } from '#src/p2p/socket-connection.ts'
import { asError } from '#src/util/errors.ts'

export const tlsProtocol = '/tls/1.0.0'

/** Named in the handshake by who leaves the muxer for later. */
const noMuxer = 'libp2p'

/** Bun can put TLS on a socket that has been used; Deno fails in the handshake. */
export const hasBackTls = process.versions.bun !== undefined

/** For the handshake; short enough that Noise can be tried within the same dial. */
const handshakeMs = 4_000

interface Components {
  readonly privateKey: PrivateKey
  readonly upgrader: Pick<Upgrader, 'getStreamMuxers'>
}

/** Returns libp2p's TLS for connections that `quickTcp` dialled; nobody is accepted by it. */
export function backTls(): (components: Components) => ConnectionEncrypter {
  return (components) => new BackTls(components)
}

type Certificate = Awaited<ReturnType<typeof import('@libp2p/tls/utils').generateCertificate>>

class BackTls implements ConnectionEncrypter {
  readonly protocol = tlsProtocol
  readonly #components: Components
  #certificate: Promise<Certificate> | undefined

  constructor(components: Components) {
    this.#components = components
  }

  async secureInbound(): Promise<SecuredConnection> {
    throw new Error('TLS is for dialling only')
  }

  async secureOutbound(
    connection: MessageStream,
    options: SecureConnectionOptions = {},
  ): Promise<SecuredConnection> {
    const target = connection as unknown as SocketConnection
    const limit = AbortSignal.timeout(handshakeMs)
    const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit])
    try {
      return await this.#secure(connection, target, { ...options, signal })
    } catch (error) {
      target.tlsFailed = asError(error)
      throw error
    }
  }

  async #secure(
    connection: MessageStream,
    target: SocketConnection,
    options: SecureConnectionOptions & { signal: AbortSignal },
  ): Promise<SecuredConnection> {
    if (target.readBufferLength > 0) throw new Error('the backend spoke before the TLS handshake')
    // What makes and reads certificates is much code, and nobody waits for it before a backend is dialled. The library
    // imports the first by itself, but in a bundle not before it needs it.
    await import('reflect-metadata')
    const { generateCertificate, verifyPeerCertificate } = await import('@libp2p/tls/utils')
    this.#certificate ??= generateCertificate(this.#components.privateKey)
    const { cert, key } = await this.#certificate
    const muxers = this.#components.upgrader.getStreamMuxers()
    const socket = connect({
      socket: target.socket,
      cert,
      key,
      minVersion: 'TLSv1.3',
      // Certificates of libp2p are signed by themselves; what they say is verified below.
      rejectUnauthorized: false,
      ALPNProtocols: [...(options.skipStreamMuxerNegotiation === true ? [] : muxers.keys()), noMuxer],
    })
    try {
      await shaken(socket, options.signal)
      const remotePeer = await verifyPeerCertificate(socket.getPeerCertificate().raw, options.remotePeer)
      if (socket.destroyed) throw new Error('the backend closed the connection after the TLS handshake')
      replaceSocket(target, socket)
      sendShort(connection)
      const streamMuxer = muxers.get(socket.alpnProtocol || noMuxer)
      return { connection, remotePeer, ...(streamMuxer && { streamMuxer }) }
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
}

/** Resolves when both sides have the keys; rejects when the socket fails, closes, or time is up. */
async function shaken(socket: TLSSocket, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const closed = (): void => reject(new Error('the backend closed the connection in the TLS handshake'))
  const late = (): void => reject(new Error('no TLS handshake in time', { cause: signal.reason }))
  // Stays: an error that nobody listens to would end the process.
  socket.on('error', reject)
  socket.once('close', closed)
  socket.once('secureConnect', resolve)
  signal.addEventListener('abort', late, { once: true })
  if (signal.aborted) late()
  try {
    await promise
  } finally {
    socket.off('close', closed)
    signal.removeEventListener('abort', late)
  }
}
