/**
 * The two kinds of libp2p host: the front, which is the public identity and never dials, and the lanes,
 * which are private identities that only dial backends. The libraries' own limits are set so that they
 * never decide: on the front the gate counts sockets, and stream limits are given with each handler.
 *
 * The front keeps nothing about a peer but its open connections.
 */

import { identify } from '@libp2p/identify'
import type { ComponentLogger, Connection, PeerId, PeerStore, PrivateKey } from '@libp2p/interface'
import { mplex } from '@libp2p/mplex'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import { ping } from '@libp2p/ping'
import { CODE_P2P, type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p, type Libp2pInit } from 'libp2p'
import { type YamuxOptions, yamux } from '#src/mux/yamux.ts'
import { publicOnly } from '#src/p2p/addresses.ts'
import { backTls, hasBackTls } from '#src/p2p/back-tls.ts'
import { trustIn } from '#src/p2p/client-address.ts'
import { forgetOthers } from '#src/p2p/forgetful-peer-store.ts'
import type { Gate } from '#src/p2p/gater.ts'
import { nativeNoise } from '#src/p2p/noise.ts'
import { repeatSigner } from '#src/p2p/repeat-signer.ts'
import { quickTcp } from '#src/p2p/tcp.ts'
import { tcpTransport } from '#src/p2p/tcp-listener.ts'
import { type RequestHandler, webTransport } from '#src/p2p/web-listener.ts'

const mebibyte = 1024 * 1024

/** From the first byte to an encrypted, multiplexed connection: for slow phones far away, and no longer. */
const upgradeTimeoutMs = 10_000
/** From opening a stream to knowing its protocol. */
const negotiationTimeoutMs = 10_000
/** TCP clients without a word for this long are closed; yamux pings twice a minute, mplex never. */
const idleTimeoutMs = 30 * 60_000
const keepAliveAfterMs = 60_000

/** Streams of one connection, whatever their protocol; js-ipfs opens one per message. */
const streamsPerConnection = 1_024
/** Streams that arrive while the connection is still being handed over; one more ends the connection. */
const earlyStreams = 256

interface HostOptions {
  readonly privateKey: PrivateKey
  /** Of this program; peers see `kitsune/<version>`. */
  readonly version: string
  readonly logger?: ComponentLogger
}

export interface FrontHostOptions extends HostOptions {
  /** Multiaddrs: `/ip4|ip6/…/tcp/N` and `/ip4|ip6/…/tcp/N/ws`. */
  readonly listen: readonly string[]
  /** Multiaddrs told to clients; empty: the public ones among the real ones. */
  readonly announce: readonly string[]
  readonly gate: Gate
  /** Load balancers in front; default: none. */
  readonly proxies?: {
    /** CIDRs of those whose word on who is calling counts. */
    readonly trusted: readonly string[]
    /** Listeners where every connection begins with a PROXY header. */
    readonly protocol: readonly ('tcp' | 'ws')[]
    /** How long a header may take; default as the door has it. */
    readonly headerTimeoutMs?: number
  }
  /** Answers plain HTTP on the WebSocket ports. */
  readonly handleRequest: RequestHandler
}

export interface FrontHost {
  /** Not started yet: register handlers first, so that the first client finds them. */
  readonly node: Libp2p
  /** Which cipher runs; `wasm` is worth a warning. */
  readonly aead: 'sodium' | 'wasm'
  /** What clients are told, each with `/p2p/<peer ID>`; never a private address unless announced. */
  advertised(): Multiaddr[]
  /** Where it really listens, wildcards resolved; for logs, never for clients. */
  listening(): Multiaddr[]
}

/** Returns the public identity's host, not started. Identify, ping and what `node.handle` adds is all it speaks. */
export async function createFrontHost(options: FrontHostOptions): Promise<FrontHost> {
  const { gate, handleRequest } = options
  const { trusted, protocol, ...deadlines } = options.proxies ?? { trusted: [], protocol: [] }
  const door = { gate, trusts: trustIn(trusted) }
  const privateKey = repeatSigner(options.privateKey)
  const self = peerIdFromPrivateKey(privateKey)
  const { encrypter, aead } = nativeNoise()
  let listening = (): Multiaddr[] => []
  const advertised = (): Multiaddr[] => {
    const announced = options.announce.map((address) => multiaddr(address))
    const known = announced.length > 0 ? announced : publicOnly(listening())
    return known.map((address) => address.decapsulateCode(CODE_P2P).encapsulate(`/p2p/${self}`))
  }
  const node = await createLibp2p({
    ...common({ ...options, privateKey }),
    start: false,
    addresses: { listen: [...options.listen], announceFilter: advertised },
    connectionGater: gate.connectionGater(),
    connectionManager: {
      ...timeouts,
      // Who is on this list passes the library's own limits unasked. The gate has the say.
      allow: ['/ip4/0.0.0.0/ipcidr/0', '/ip6/::/ipcidr/0'],
      maxConnections: Number.MAX_SAFE_INTEGER,
    },
    // A ping to every client every ten seconds buys nothing: dead sockets end by keep-alive and idle timeout.
    connectionMonitor: { enabled: false },
    transports: [
      tcpTransport(door, { ...deadlines, proxyProtocol: protocol.includes('tcp'), idleTimeoutMs }),
      webTransport({ ...door, handleRequest }, { ...deadlines, proxyProtocol: protocol.includes('ws') }),
    ],
    connectionEncrypters: [encrypter],
    streamMuxers: muxers({
      firstWindow: mebibyte / 4,
      largestWindow: 2 * mebibyte,
      maxGrowthBytes: 14 * mebibyte,
      maxUnreadBytes: 16 * mebibyte,
    }),
    services: {
      identify: identify({ runOnConnectionOpen: false, maxInboundStreams: 8 }),
      ping: ping({ maxInboundStreams: 8 }),
      shell: (components: Components) => {
        listening = () => components.transportManager.getAddrs()
        listConnectionsQuickly(components)
        forgetOthers(components.peerStore, self)
        const { peerStore } = components
        return {
          start() {},
          stop() {},
          afterStart: () => keepRecord(peerStore, privateKey, options.announce),
        }
      },
    },
  })
  return { node: node as unknown as Libp2p, aead, advertised, listening: () => listening() }
}

export interface LaneHostOptions extends HostOptions {
  /** Default: true. */
  readonly start?: boolean
}

/** Returns a host, started unless told otherwise, that dials backends over TCP, accepts nobody and answers identify and ping only. */
export async function createLaneHost(options: LaneHostOptions): Promise<Libp2p> {
  const self = peerIdFromPrivateKey(options.privateKey)
  const node = await createLibp2p({
    ...common(options),
    start: options.start ?? true,
    addresses: { listen: [], announceFilter: () => [] },
    connectionGater: { denyInboundConnection: () => true },
    connectionManager: { ...timeouts, reconnectRetries: 0 },
    // Lanes ping by themselves; the library's pings would compete for the one stream that is allowed.
    connectionMonitor: { enabled: false },
    transports: [
      quickTcp({
        outboundSocketInactivityTimeout: idleTimeoutMs,
        dialOpts: { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveAfterMs },
      }),
    ],
    // The first that a backend speaks is taken. Kubo speaks both, and TLS costs half as much per byte.
    connectionEncrypters: [...(hasBackTls ? [backTls()] : []), nativeNoise().encrypter],
    streamMuxers: muxers({
      // More than a message with a block of 256 KiB, for which a backend would have to wait otherwise.
      firstWindow: mebibyte,
      largestWindow: 4 * mebibyte,
      maxGrowthBytes: 64 * mebibyte,
      maxUnreadBytes: 64 * mebibyte,
    }),
    services: {
      identify: identify({ maxInboundStreams: 8 }),
      ping: ping({ maxInboundStreams: 8 }),
      // Backends are dialled by address, and open a stream per message: writing each down costs more than reading it.
      shell: ({ peerStore }: Components) => {
        forgetOthers(peerStore, self)
        return {}
      },
    },
  })
  return node as unknown as Libp2p
}

/** Returns how many connections are open, by transport. */
export function connectionsByTransport(node: Libp2p): { tcp: number; ws: number } {
  const counts = { tcp: 0, ws: 0 }
  for (const { remoteAddr } of node.getConnections()) {
    if (remoteAddr.getComponents().some((component) => component.name === 'ws')) counts.ws++
    else counts.tcp++
  }
  return counts
}

const timeouts = {
  inboundUpgradeTimeout: upgradeTimeoutMs,
  inboundStreamProtocolNegotiationTimeout: negotiationTimeoutMs,
  outboundStreamProtocolNegotiationTimeout: negotiationTimeoutMs,
}

function common(options: HostOptions): Pick<Libp2pInit, 'privateKey' | 'nodeInfo' | 'logger'> {
  const { privateKey, version, logger } = options
  const nodeInfo = { name: 'kitsune', version, userAgent: `kitsune/${version}` }
  return { privateKey, nodeInfo, ...(logger && { logger }) }
}

/**
 * yamux before mplex: the other order breaks early muxer negotiation with Helia; js-ipfs speaks mplex only.
 */
function muxers(
  windows: Omit<YamuxOptions, 'maxStreams' | 'maxEarlyStreams'>,
): NonNullable<Libp2pInit['streamMuxers']> {
  return [
    yamux({ ...windows, maxStreams: streamsPerConnection, maxEarlyStreams: earlyStreams }),
    // More than five new streams a second would end the connection, and js-ipfs opens one per message.
    mplex({ disconnectThreshold: 1e9, maxEarlyStreams: earlyStreams } as Parameters<typeof mplex>[0]),
  ]
}

/**
 * Signs what is announced once, where identify would sign it anew for every client. Without announced addresses
 * there is nothing to sign, or it may change with the machine's interfaces.
 */
async function keepRecord(
  peerStore: PeerStore,
  privateKey: PrivateKey,
  announce: readonly string[],
): Promise<void> {
  if (announce.length === 0) return
  const self = peerIdFromPrivateKey(privateKey)
  const multiaddrs = announce.map((address) => multiaddr(address).decapsulateCode(CODE_P2P))
  const envelope = await RecordEnvelope.seal(new PeerRecord({ peerId: self, multiaddrs }), privateKey)
  await peerStore.patch(self, { peerRecordEnvelope: envelope.marshal().subarray() })
}

/** What libp2p hands to the parts it is made of. */
type Components = Parameters<NonNullable<Libp2pInit['transports']>[number]>[0]

/**
 * The library lists its connections by concatenating an array per peer, twice for each new connection:
 * quadratic work, seconds per connection at tens of thousands. This lists them once through.
 */
function listConnectionsQuickly({ connectionManager }: Components): void {
  const ofPeer = connectionManager.getConnections.bind(connectionManager)
  connectionManager.getConnections = (peer?: PeerId): Connection[] =>
    peer === undefined ? [...connectionManager.getConnectionsMap().values()].flat() : ofPeer(peer)
}
