/**
 * How a WebTransport session becomes a connection of libp2p: it asks for the right path, its address has a place left, and
 * its first stream brings Noise in time, in which it is told which certificates are ours.
 *
 * Invariant: a session stands in the count of its address from here until its QUIC connection has gone. Memory: what
 * handshakes under way hold, each `handshakeTimeoutMs` at most.
 */

import { setMaxListeners } from 'node:events'
import type {
  ComponentLogger,
  CreateListenerOptions,
  PeerId,
  PrivateKey,
  StreamMuxerFactory,
} from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Gate } from '#src/p2p/door/gater.ts'
import { webTransportNoise } from '#src/p2p/noise/noise.ts'
import type { Certificates } from '#src/p2p/webtransport/certificates.ts'
import {
  WebTransportConnection,
  WebTransportMuxer,
  webTransportProtocol,
} from '#src/p2p/webtransport/connection.ts'
import type { H3Session } from '#src/p2p/webtransport/h3-session.ts'
import { asError } from '#src/util/errors.ts'

type Encrypter = ReturnType<ReturnType<typeof webTransportNoise>>

export interface ReceptionDeps {
  readonly gate: Gate
  /** Updated. */
  readonly certificates: Certificates
  readonly privateKey: PrivateKey
  readonly peerId: PeerId
  readonly logger: ComponentLogger
  readonly upgrader: CreateListenerOptions['upgrader']
  /** Ends the handshakes that are under way, and what comes of them. */
  readonly closing: AbortSignal
}

export interface ReceptionOptions {
  readonly handshakeTimeoutMs: number
  readonly maxStreams: number
}

const sessionPath = '/.well-known/libp2p-webtransport?type=noise'

export class Reception {
  readonly #deps: ReceptionDeps
  readonly #options: ReceptionOptions
  #noise: { readonly hashes: string; readonly encrypter: Encrypter } | undefined

  constructor(deps: ReceptionDeps, options: ReceptionOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** Takes a session over; false where it cannot stay. */
  welcome(session: H3Session): boolean {
    const { gate, logger } = this.#deps
    if (session.path !== sessionPath || this.#deps.closing.aborted) return false
    const { host } = session.remote
    const leave = gate.countFor(host)
    if (leave === undefined) return false
    session.whenClosed(leave)
    const family = host.includes(':') ? 'ip6' : 'ip4'
    const connection = new WebTransportConnection({
      session,
      maxStreams: this.#options.maxStreams,
      remoteAddr: multiaddr(`/${family}/${host}/udp/${session.remote.port}/quic-v1/webtransport`),
      direction: 'inbound',
      log: logger.forComponent('libp2p:webtransport:connection'),
    })
    gate.vouchFor(connection)
    this.#upgrade(connection).catch((error: unknown) => connection.abort(asError(error)))
    return true
  }

  async #upgrade(connection: WebTransportConnection): Promise<void> {
    const timeout = AbortSignal.timeout(this.#options.handshakeTimeoutMs)
    const signal = AbortSignal.any([this.#deps.closing, timeout])
    setMaxListeners(Number.POSITIVE_INFINITY, signal)
    const late = (): void => connection.abort(new Error('no handshake in time'))
    signal.addEventListener('abort', late, { once: true })
    try {
      const stream = await connection.firstStream()
      const secured = await this.#encrypter().secureInbound(stream, {
        signal,
        skipStreamMuxerNegotiation: true,
      })
      void stream.close().catch(() => {})
      await this.#deps.upgrader.upgradeInbound(connection, {
        signal,
        skipEncryption: true,
        skipProtection: true,
        remotePeer: secured.remotePeer,
        muxerFactory: muxerOf(connection),
      })
    } finally {
      signal.removeEventListener('abort', late)
    }
  }

  /** The handshake tells the client which certificates are ours. */
  #encrypter(): Encrypter {
    const { certificates, privateKey, peerId, logger, upgrader } = this.#deps
    const webtransportCerthashes = certificates.hashes
    const hashes = webtransportCerthashes.join()
    if (this.#noise?.hashes !== hashes) {
      const encrypter = webTransportNoise(webtransportCerthashes)({ privateKey, peerId, logger, upgrader })
      this.#noise = { hashes, encrypter }
    }
    return this.#noise.encrypter
  }
}

function muxerOf(connection: WebTransportConnection): StreamMuxerFactory {
  return {
    protocol: webTransportProtocol,
    createStreamMuxer: () => new WebTransportMuxer(connection),
  }
}
