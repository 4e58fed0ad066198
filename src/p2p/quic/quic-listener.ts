/**
 * The QUIC door: `/udp/…/quic-v1`, by quinn, one socket per address. It never dials, so that none of the sockets exist
 * that the library's own transport binds for that.
 *
 * quinn hands over a connection when its handshake is done, and whoever accepts waits for just that one: so many accept
 * at once, and a client that stops in the middle keeps nobody waiting but itself. The gate counts a connection as soon
 * as its address can be known, which is then.
 *
 * Memory: `halfOpen` handshakes per address that is listened on, each for `idleMs` at most, and what quinn holds of
 * those that wait to be accepted (65,536 and 100 MiB, its defaults); the connections that the gate lets in, each with
 * the windows below, and 10 MiB of unacknowledged bytes, quinn's default.
 */

import { setMaxListeners } from 'node:events'
import { privateKeyToProtobuf } from '@libp2p/crypto/keys'
import {
  type ComponentLogger,
  type CreateListenerOptions,
  type Listener,
  type ListenerEvents,
  type PrivateKey,
  type Transport,
  TypedEventEmitter,
} from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { getThinWaistAddresses } from '@libp2p/utils'
import { CODE_P2P, type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { listenOnly } from '#src/p2p/door/door-transport.ts'
import { loadQuic, type NativeConnection, type NativeQuic, type NativeServer } from '#src/p2p/quic/native.ts'
import { QuicConnection, quicMuxer } from '#src/p2p/quic/quic-connection.ts'
import { asError } from '#src/util/errors.ts'

const mebibyte = 1024 * 1024

/** A peer that says nothing for so long is gone, in the middle of its handshake too. */
const idleMs = 10_000
const keepAliveMs = 5_000
/** Handshakes under way at a time; each takes some 115 KiB, and more than these wait until one is done or given up. */
const halfOpen = 1_024
/** As with yamux: js-ipfs and boxo open a stream per message. */
const streamsPerConnection = 1_024
const earlyStreams = 256
/** How long the clients' acknowledgement of the end is waited for. */
const closeMs = 2_000

interface Components {
  readonly privateKey: PrivateKey
  readonly logger: ComponentLogger
}

/** Returns a libp2p transport that listens as described above and dials nobody; rejects where QUIC does not load. */
export async function quicDoor(): Promise<(components: Components) => Transport> {
  const quic = await loadQuic()
  return ({ privateKey, logger }) => {
    const config = new quic.QuinnConfig({
      privateKeyProto: privateKeyToProtobuf(privateKey),
      handshakeTimeout: idleMs,
      maxIdleTimeout: idleMs,
      keepAliveInterval: keepAliveMs,
      maxConcurrentStreamLimit: streamsPerConnection,
      maxStreamData: mebibyte,
      maxConnectionData: 4 * mebibyte,
      receiveBufferSize: mebibyte,
      sendBufferSize: mebibyte,
    })
    return listenOnly('quic-v1', ({ upgrader }) => new QuicListener(quic, config, { upgrader, logger }))
  }
}

type ListenerDeps = Pick<CreateListenerOptions, 'upgrader'> & Pick<Components, 'logger'>

class QuicListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #quic: NativeQuic
  readonly #config: object
  readonly #deps: ListenerDeps
  readonly #closing = new AbortController()
  #server: NativeServer | undefined
  #listening: Multiaddr | undefined

  constructor(quic: NativeQuic, config: object, deps: ListenerDeps) {
    super()
    this.#quic = quic
    this.#config = config
    this.#deps = deps
    // Each upgrade under way listens to it.
    setMaxListeners(Number.POSITIVE_INFINITY, this.#closing.signal)
  }

  async listen(address: Multiaddr): Promise<void> {
    const [ip, udp] = address.getComponents()
    const server = new this.#quic.Server(this.#config, ip?.value ?? '0.0.0.0', Number(udp?.value))
    this.#server = server
    this.#listening = address
    for (let i = 0; i < halfOpen; i++) void this.#accept(server)
    this.safeDispatchEvent('listening')
  }

  getAddrs(): Multiaddr[] {
    if (this.#server === undefined || this.#listening === undefined) return []
    const port = this.#server.port()
    return getThinWaistAddresses(this.#listening, port).map((address) => address.encapsulate('/quic-v1'))
  }

  updateAnnounceAddrs(): void {}

  async close(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    this.#closing.abort()
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, closeMs)
    await Promise.race([server.abort(), late.promise]).finally(() => clearTimeout(timer))
    this.safeDispatchEvent('close')
  }

  async #accept(server: NativeServer): Promise<void> {
    while (server === this.#server) {
      try {
        this.#welcome(await server.inboundConnection())
      } catch (error) {
        // A handshake that fails ends nobody else's; a socket that is lost would say so for ever.
        if (/server closed/.test(String(error))) return
      }
    }
  }

  #welcome(native: NativeConnection): void {
    const { upgrader, logger } = this.#deps
    const address = multiaddr(native.remoteMultiaddr())
    const id = address.getComponents().find(({ code }) => code === CODE_P2P)?.value
    if (id === undefined || this.#closing.signal.aborted) return native.abort()
    const connection = new QuicConnection({
      native,
      remoteAddr: address.decapsulateCode(CODE_P2P),
      direction: 'inbound',
      log: logger.forComponent('libp2p:quic:connection'),
    })
    upgrader
      .upgradeInbound(connection, {
        skipEncryption: true,
        skipProtection: true,
        remotePeer: peerIdFromString(id),
        muxerFactory: quicMuxer(native, earlyStreams),
        signal: this.#closing.signal,
      })
      .catch((error: unknown) => connection.abort(asError(error)))
  }
}
