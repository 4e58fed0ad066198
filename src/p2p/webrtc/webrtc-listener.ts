/**
 * The WebRTC-direct door: `/udp/…/webrtc-direct`, one socket per port for all its connections, by libdatachannel. It
 * never dials.
 *
 * Invariant: a handshake stands in the gate's counts from its first datagram on, in all and for its address, until its
 * connection is closed. Memory: `HalfOpen`'s bounds, each for `handshakeMs` at most; the connections that the gate lets
 * in.
 */

import { setMaxListeners } from 'node:events'
import {
  type ComponentLogger,
  type Listener,
  type ListenerEvents,
  type Logger,
  type PeerId,
  type PrivateKey,
  type Transport,
  TypedEventEmitter,
} from '@libp2p/interface'
import { getThinWaistAddresses } from '@libp2p/utils'
import { CODE_CERTHASH, type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { listenOnly } from '#src/p2p/door/door-transport.ts'
import type { Keeping } from '#src/p2p/door/front-doors.ts'
import type { Gate } from '#src/p2p/door/gater.ts'
import { keptCertificate } from '#src/p2p/webrtc/certificate.ts'
import { HalfOpen } from '#src/p2p/webrtc/half-open.ts'
import { createPeer, type HandshakeDeps, shakeHands } from '#src/p2p/webrtc/handshake.ts'
import { loadWebRtc, type NativePeer, type StunRequest } from '#src/p2p/webrtc/native.ts'
import { type OpenPort, UdpPorts } from '#src/p2p/webrtc/udp-ports.ts'
import { TokenBucket } from '#src/util/token-bucket.ts'

export interface WebRtcDoorDeps {
  readonly gate: Gate
  readonly keeping: Keeping
}

/** From the first datagram to a known peer: for slow phones far away, and no longer. */
const handshakeMs = 10_000
const halfOpen = { total: 256, perAddress: 32 }
/**
 * Handshakes begun in all: each takes most of a millisecond, and who asks for it may be made up. A client that is not
 * heard asks again by itself, ten times a second.
 */
const begunPerSecond = 100
/** For how long whoever was turned away is not looked at again. */
const turnedAwayMs = 10_000

/** ICE credentials (RFC 8839, 5.4); libdatachannel takes nothing else. */
const credentials = /^[A-Za-z0-9+/]{22,256}$/

interface Components {
  readonly peerId: PeerId
  readonly privateKey: PrivateKey
  readonly logger: ComponentLogger
}

/** Returns a libp2p transport that listens as described above; rejects where WebRTC does not load. */
export async function webRtcDoor(deps: WebRtcDoorDeps): Promise<(components: Components) => Transport> {
  const [webrtc, certificate] = await Promise.all([loadWebRtc(), keptCertificate(deps.keeping, Date.now())])
  return ({ peerId, privateKey, logger }) => {
    const ports = new UdpPorts(webrtc)
    return listenOnly('webrtc-direct', ({ upgrader }) => {
      const made = { webrtc, certificate, upgrader, peerId, privateKey, logger }
      return new WebRtcListener(deps.gate, made, ports)
    })
  }
}

class WebRtcListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #gate: Gate
  readonly #deps: HandshakeDeps & { readonly certificate: { readonly hashText: string } }
  readonly #ports: UdpPorts
  readonly #halfOpen = new HalfOpen(halfOpen)
  readonly #begun = new TokenBucket(begunPerSecond, performance.now())
  readonly #peers = new Set<NativePeer>()
  readonly #closing = new AbortController()
  readonly #log: Logger
  #open: OpenPort | undefined
  #listening: Multiaddr | undefined

  constructor(
    gate: Gate,
    deps: HandshakeDeps & { readonly certificate: { readonly hashText: string } },
    ports: UdpPorts,
  ) {
    super()
    this.#gate = gate
    this.#deps = deps
    this.#ports = ports
    this.#log = deps.logger.forComponent('libp2p:webrtc:listener')
    // Each handshake under way listens to it.
    setMaxListeners(Number.POSITIVE_INFINITY, this.#closing.signal)
  }

  async listen(address: Multiaddr): Promise<void> {
    const [ip, udp] = address.getComponents()
    this.#open = await this.#ports.open(ip?.value ?? '0.0.0.0', Number(udp?.value), (request) =>
      this.#onRequest(request),
    )
    this.#listening = address
    this.safeDispatchEvent('listening')
  }

  getAddrs(): Multiaddr[] {
    if (this.#open === undefined || this.#listening === undefined) return []
    return getThinWaistAddresses(this.#listening, this.#open.port).map((address) =>
      address.encapsulate(`/webrtc-direct${this.#suffix}`),
    )
  }

  /** Addresses that operators announce need not end with the hash of our certificate. */
  updateAnnounceAddrs(addresses: Multiaddr[]): void {
    for (const [index, address] of addresses.entries()) {
      const names = address.getComponents().map(({ name }) => name)
      const at = names.indexOf('webrtc-direct')
      if (at < 0 || names.includes('certhash')) continue
      const parts = address.getComponents()
      const hash = { code: CODE_CERTHASH, name: 'certhash', value: this.#deps.certificate.hashText }
      addresses[index] = multiaddr([...parts.slice(0, at + 1), hash, ...parts.slice(at + 1)])
    }
  }

  async close(): Promise<void> {
    if (this.#open === undefined) return
    this.#closing.abort()
    this.#halfOpen.clear()
    for (const peer of this.#peers) peer.close()
    this.#open.close()
    this.#open = undefined
    this.safeDispatchEvent('close')
  }

  get #suffix(): string {
    return `/certhash/${this.#deps.certificate.hashText}`
  }

  /** Called for every datagram of a handshake that has not begun here; there may be a flood of them. */
  #onRequest(request: StunRequest): void {
    const nowMs = performance.now()
    if (this.#open === undefined || !credentials.test(request.ufrag)) return
    if (!this.#halfOpen.isNew(request, nowMs - turnedAwayMs)) return
    if (this.#begun.delayMs(nowMs) > 0) {
      this.#gate.refuse('too-many-handshakes')
      return
    }
    if (!this.#halfOpen.makeRoom(request)) {
      this.#gate.refuse('too-many-handshakes')
      this.#halfOpen.turnAway(request, nowMs)
      return
    }
    const leave = this.#gate.enter()
    const uncount = leave && this.#gate.countFor(request.host)
    if (uncount === undefined) {
      leave?.()
      this.#halfOpen.turnAway(request, nowMs)
      return
    }
    this.#begun.take(1, nowMs)
    void this.#serve(request, this.#open.port).finally(() => {
      uncount()
      leave?.()
      // What it still sends is of the connection that is over.
      this.#halfOpen.turnAway(request, performance.now())
    })
  }

  /** Resolves when the connection that came of it is closed, or none did; throws nothing. */
  async #serve(request: StunRequest, port: number): Promise<void> {
    const givenUp = new AbortController()
    const signal = AbortSignal.any([this.#closing.signal, givenUp.signal, AbortSignal.timeout(handshakeMs)])
    const handshake = this.#halfOpen.begin(request, () => givenUp.abort())
    let peer: NativePeer | undefined
    try {
      peer = createPeer(this.#deps, port)
      this.#peers.add(peer)
      peer.onIceStateChange((state) => {
        if (state === 'connected' || state === 'completed') handshake.prove()
      })
      const connection = await shakeHands(this.#deps, peer, request, {
        signal,
        admitted: (admitted) => this.#gate.vouchFor(admitted),
      })
      handshake.won()
      if (connection.status === 'open')
        await new Promise((resolve) => connection.addEventListener('close', resolve, { once: true }))
    } catch (error) {
      // Whoever began it is told nothing: it may not be the one whose address it gave.
      this.#log('handshake failed - %e', error)
    } finally {
      handshake.over()
      if (peer !== undefined) this.#peers.delete(peer)
      peer?.close()
    }
  }
}
