/**
 * The WebTransport door: `/udp/…/quic-v1/webtransport`, for browsers, which come without a certificate of any authority
 * (libp2p/specs, webtransport).
 *
 * Every QUIC connection stands in the gate's count from when it is known of, and in that of its address from when it
 * asks for a session; a session has `handshakeTimeoutMs` for Noise. When its certificate is to change a new server takes
 * the port, and the one before keeps the clients that it has, where the system can tell them apart (`shared-port`).
 *
 * Memory: two servers, with the connections that the gate lets in.
 */

import { setMaxListeners } from 'node:events'
import {
  type ComponentLogger,
  type CreateListenerOptions,
  type Listener,
  type ListenerEvents,
  type PeerId,
  type PrivateKey,
  type StreamMuxerFactory,
  TypedEventEmitter,
} from '@libp2p/interface'
import { getThinWaistAddresses } from '@libp2p/utils'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Gate } from '#src/p2p/gater.ts'
import { webTransportNoise } from '#src/p2p/noise.ts'
import type { Rwebtransport } from '#src/p2p/webtransport/addon.ts'
import type { Certificates, StoredCertificate } from '#src/p2p/webtransport/certificates.ts'
import {
  WebTransportConnection,
  WebTransportMuxer,
  webTransportProtocol,
} from '#src/p2p/webtransport/connection.ts'
import { H3Server } from '#src/p2p/webtransport/h3-server.ts'
import type { H3Session } from '#src/p2p/webtransport/h3-session.ts'
import type { OwnPorts } from '#src/p2p/webtransport/own-ports.ts'
import { canSharePort, sharedPort } from '#src/p2p/webtransport/shared-port.ts'
import { asError, describeError } from '#src/util/errors.ts'

type Upgrader = CreateListenerOptions['upgrader']
type Encrypter = ReturnType<ReturnType<typeof webTransportNoise>>

export interface WebTransportListenerDeps {
  readonly gate: Gate
  readonly addon: Rwebtransport
  /** Updated. */
  readonly certificates: Certificates
  readonly privateKey: PrivateKey
  readonly peerId: PeerId
  readonly logger: ComponentLogger
  readonly upgrader: Upgrader
  readonly ports: OwnPorts
  /** Unix time in ms. */
  readonly now: () => number
  /** Told what an operator should know. */
  readonly warn: (message: string, facts: Readonly<Record<string, unknown>>) => void
}

export interface WebTransportOptions {
  /** From the QUIC connection to a session, and from there to the end of Noise. Default 10 s each. */
  readonly handshakeTimeoutMs?: number
  /** How often it is looked for connections that ask for nothing. Default 2 s. */
  readonly lookEveryMs?: number
  /** Streams of ours on one connection. Default 1,024. */
  readonly maxStreams?: number
  /** How two servers share a port. Default: as the system has it. */
  readonly sharePort?: typeof sharedPort
}

const sessionPath = '/.well-known/libp2p-webtransport?type=noise'
/** Clocks are put right meanwhile, and machines sleep. */
const longestWaitMs = 60 * 60_000
/** When it failed. */
const againAfterMs = 10_000

export class WebTransportListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #deps: WebTransportListenerDeps
  readonly #options: Required<WebTransportOptions>
  readonly #closing = new AbortController()
  #address: Multiaddr | undefined
  #server: H3Server | undefined
  /** The one before, while it has clients. */
  #former: H3Server | undefined
  #serving: StoredCertificate | undefined
  #noise: { readonly hashes: string; readonly encrypter: Encrypter } | undefined
  #rolling: ReturnType<typeof setTimeout> | undefined
  /** Resolves when the last change is done; never rejects. */
  #rolled: Promise<void> = Promise.resolve()

  constructor(deps: WebTransportListenerDeps, options: WebTransportOptions) {
    super()
    this.#deps = deps
    this.#options = {
      handshakeTimeoutMs: 10_000,
      lookEveryMs: 2_000,
      maxStreams: 1_024,
      sharePort: sharedPort,
      ...options,
    }
    // Each handshake under way listens to it.
    setMaxListeners(Number.POSITIVE_INFINITY, this.#closing.signal)
  }

  async listen(address: Multiaddr): Promise<void> {
    const port = Number(address.getComponents()[1]?.value)
    this.#serving = this.#deps.certificates.current
    this.#address = address
    this.#server = await this.#deps.ports.bind(port, (free, shared) => this.#bind(free, shared))
    this.#scheduleRoll()
    this.safeDispatchEvent('listening')
  }

  getAddrs(): Multiaddr[] {
    if (this.#server === undefined || this.#address === undefined) return []
    const { suffix } = this.#deps.certificates
    return getThinWaistAddresses(this.#address, this.#server.port).map((address) =>
      address.encapsulate(`/quic-v1/webtransport${suffix}`),
    )
  }

  updateAnnounceAddrs(): void {}

  /** Ends it with all its sessions. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    clearTimeout(this.#rolling)
    await this.#rolled
    await Promise.all([this.#server?.close(), this.#former?.close()])
    if (this.#server) this.#deps.ports.release(this.#server.port)
    this.#server = undefined
    this.#former = undefined
    this.safeDispatchEvent('close')
  }

  /** Changes to the certificate that is due, if one is. */
  roll(): Promise<void> {
    this.#rolled = this.#rolled.then(() => this.#roll())
    return this.#rolled
  }

  async #roll(): Promise<void> {
    if (this.#closing.signal.aborted) return
    const { certificates, warn } = this.#deps
    try {
      await certificates.update()
      if (certificates.current.path !== this.#serving?.path) await this.#replaceServer()
      if (this.#former?.connections === 0) await this.#endFormer()
    } catch (error) {
      warn('The WebTransport door could not change its certificate', { reason: describeError(error) })
      return this.#scheduleRoll(againAfterMs)
    }
    this.#scheduleRoll()
  }

  #scheduleRoll(longestMs = longestWaitMs): void {
    if (this.#closing.signal.aborted) return
    clearTimeout(this.#rolling)
    const { certificates, now } = this.#deps
    const dueMs = certificates.rollAtMs - now()
    this.#rolling = setTimeout(() => void this.roll(), Math.min(Math.max(dueMs, 1_000), longestMs))
    this.#rolling.unref()
  }

  get #host(): string {
    return this.#address?.getComponents()[0]?.value ?? '0.0.0.0'
  }

  #bind(port: number, reusePort: boolean): Promise<H3Server> {
    const { addon, gate, certificates } = this.#deps
    const { handshakeTimeoutMs, lookEveryMs } = this.#options
    return H3Server.listen(
      addon,
      {
        host: this.#host,
        port,
        certificatePath: certificates.current.path,
        reusePort,
        sessionTimeoutMs: handshakeTimeoutMs,
        lookEveryMs,
      },
      { admit: () => gate.enter(), session: (session) => this.#welcome(session) },
    )
  }

  async #replaceServer(): Promise<void> {
    const old = this.#server
    if (old === undefined) return
    await this.#endFormer()
    const port = this.#options.sharePort(this.#host, old.port)
    const { remotes } = old
    let kept = 0
    if (port?.all(0) === true) {
      this.#server = await this.#bind(old.port, true)
      kept = port.split(remotes)
      if (kept > 0) this.#former = old
      else await old.close()
    } else {
      await old.close()
      this.#server = await this.#bind(old.port, canSharePort())
    }
    this.#serving = this.#deps.certificates.current
    const lost = remotes.length - kept
    if (lost > 0)
      this.#deps.warn('The certificate of the WebTransport door changed, and clients lost their connection', {
        connections: lost,
      })
    this.safeDispatchEvent('listening')
  }

  async #endFormer(): Promise<void> {
    const former = this.#former
    if (former === undefined) return
    this.#former = undefined
    this.#options.sharePort(this.#host, former.port)?.all(1)
    await former.close()
  }

  #welcome(session: H3Session): boolean {
    const { gate, logger } = this.#deps
    if (session.path !== sessionPath || this.#closing.signal.aborted) return false
    const { host } = session.remote
    const leave = gate.countFor(host)
    if (leave === undefined) return false
    const family = host.includes(':') ? 'ip6' : 'ip4'
    const connection = new WebTransportConnection({
      session,
      maxStreams: this.#options.maxStreams,
      remoteAddr: multiaddr(`/${family}/${host}/udp/${session.remote.port}/quic-v1/webtransport`),
      direction: 'inbound',
      log: logger.forComponent('libp2p:webtransport:connection'),
    })
    session.whenClosed(leave)
    gate.vouchFor(connection)
    this.#upgrade(connection).catch((error: unknown) => connection.abort(asError(error)))
    return true
  }

  async #upgrade(connection: WebTransportConnection): Promise<void> {
    const timeout = AbortSignal.timeout(this.#options.handshakeTimeoutMs)
    const signal = AbortSignal.any([this.#closing.signal, timeout])
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
