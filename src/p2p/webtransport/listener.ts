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
  TypedEventEmitter,
} from '@libp2p/interface'
import { getThinWaistAddresses } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Gate } from '#src/p2p/door/gater.ts'
import type { Rwebtransport } from '#src/p2p/webtransport/addon.ts'
import type { Certificates, StoredCertificate } from '#src/p2p/webtransport/certificates.ts'
import { H3Server } from '#src/p2p/webtransport/h3-server.ts'
import type { OwnPorts } from '#src/p2p/webtransport/own-ports.ts'
import { Reception } from '#src/p2p/webtransport/reception.ts'
import { canSharePort, sharedPort } from '#src/p2p/webtransport/shared-port.ts'
import { describeError } from '#src/util/errors.ts'

type Upgrader = CreateListenerOptions['upgrader']

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

/** Clocks are put right meanwhile, and machines sleep. */
const longestWaitMs = 60 * 60_000
/** When it failed. */
const againAfterMs = 10_000
const failuresPerWarning = 360

export class WebTransportListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #deps: WebTransportListenerDeps
  readonly #options: Required<WebTransportOptions>
  readonly #closing = new AbortController()
  readonly #reception: Reception
  #address: Multiaddr | undefined
  #server: H3Server | undefined
  /** The one before, while it has clients. */
  #former: H3Server | undefined
  #serving: StoredCertificate | undefined
  #rolling: ReturnType<typeof setTimeout> | undefined
  /** In a row. */
  #failures = 0
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
    this.#reception = new Reception({ ...deps, closing: this.#closing.signal }, this.#options)
  }

  async listen(address: Multiaddr): Promise<void> {
    const port = Number(address.getComponents()[1]?.value)
    this.#serving = this.#deps.certificates.current
    this.#address = address
    const server = await this.#deps.ports.bind(port, (free, shared) => this.#bind(free, shared))
    this.#server = server
    // Closed meanwhile.
    if (this.#closing.signal.aborted) return this.#end()
    this.#scheduleRoll(longestWaitMs)
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
    await this.#end()
    this.safeDispatchEvent('close')
  }

  async #end(): Promise<void> {
    await Promise.all([this.#server?.close(), this.#former?.close()])
    if (this.#server) this.#deps.ports.release(this.#server.port)
    this.#server = undefined
    this.#former = undefined
  }

  /** Changes to the certificate that is due, if one is. */
  roll(): Promise<void> {
    this.#rolled = this.#rolled.then(() => this.#roll())
    return this.#rolled
  }

  async #roll(): Promise<void> {
    if (this.#closing.signal.aborted) return
    const { certificates } = this.#deps
    const faults: unknown[] = []
    // Where the one after next cannot be kept, the next is there all the same.
    await certificates.update().catch((error: unknown) => faults.push(error))
    try {
      if (this.#server?.gone === true || certificates.current.path !== this.#serving?.path)
        await this.#replaceServer()
      if (this.#former?.connections === 0) await this.#endFormer()
    } catch (error) {
      faults.push(error)
    }
    this.#tell(faults)
    const isDone = faults.length === 0 && this.#server?.gone !== true
    this.#scheduleRoll(isDone ? longestWaitMs : againAfterMs)
  }

  /** It is tried again every few seconds, and told about once an hour. */
  #tell(faults: readonly unknown[]): void {
    if (faults.length === 0) {
      this.#failures = 0
    } else if (this.#failures++ % failuresPerWarning === 0) {
      const reason = faults.map(describeError).join('; ')
      this.#deps.warn('The WebTransport door could not be renewed; it is tried again', { reason })
    }
  }

  /** The addon's thread is gone, through a fault of its own: a new one takes the port. */
  #onDeath(): void {
    if (this.#server?.gone !== true || this.#closing.signal.aborted) return
    this.#deps.warn(
      'The WebTransport door failed in native code; its clients are gone, and it opens again',
      {},
    )
    this.#scheduleRoll(1_000)
  }

  #scheduleRoll(longestMs: number): void {
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
      {
        admit: () => gate.enter(),
        session: (session) => this.#reception.welcome(session),
        died: () => this.#onDeath(),
      },
    )
  }

  async #replaceServer(): Promise<void> {
    const old = this.#server
    if (old === undefined) return
    await this.#endFormer()
    const port = this.#options.sharePort(this.#host, old.port)
    const { remotes } = old
    let kept = 0
    if (!old.gone && port?.all(0) === true) {
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
}
