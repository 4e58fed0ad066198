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
import { ping } from '@libp2p/ping'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p, type Libp2pInit } from 'libp2p'
import type { ConnectionSecurity } from '#src/config/config.ts'
import { type DoorKind, doorKinds, type ListenAddress } from '#src/config/listen.ts'
import { type YamuxOptions, yamux } from '#src/mux/yamux.ts'
import { Announcer } from '#src/p2p/announce.ts'
import { trustIn } from '#src/p2p/door/client-address.ts'
import {
  doorOfConnection,
  FrontDoors,
  type Keeping,
  type WebCertificates,
} from '#src/p2p/door/front-doors.ts'
import type { Gate } from '#src/p2p/door/gater.ts'
import { forgetOthers } from '#src/p2p/forgetful-peer-store.ts'
import { repeatSigner } from '#src/p2p/repeat-signer.ts'
import { securityOf } from '#src/p2p/security.ts'
import { quickTcp } from '#src/p2p/tcp/tcp.ts'
import type { RequestHandler } from '#src/p2p/web/http-door.ts'
import type { DoorState } from '#src/telemetry/metrics.ts'

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
  readonly listen: readonly ListenAddress[]
  /** Multiaddrs told to clients; empty: the public ones among the real ones. See `Announcer`. */
  readonly announce: readonly string[]
  /** Those of the wss doors; without them none of these can be opened. */
  readonly certificates?: WebCertificates
  /** For doors that make certificates of their own; without it none of these can be opened. */
  readonly keeping?: Keeping
  readonly gate: Gate
  /** What secures connections. Default: Noise and TLS, in a public network. */
  readonly security?: ConnectionSecurity
  /** Load balancers in front; default: none. */
  readonly proxies?: {
    /** CIDRs of those whose word on who is calling counts. */
    readonly trusted: readonly string[]
    /** Listeners where every connection begins with a PROXY header. */
    readonly protocol: readonly ('tcp' | 'ws')[]
    /** How long a header may take; default as the door has it. */
    readonly headerTimeoutMs?: number
  }
  /** Answers plain HTTP on the web ports. */
  readonly handleRequest: RequestHandler
}

export interface FrontHost {
  /** Not started yet: register handlers first, so that the first client finds them. */
  readonly node: Libp2p
  /** Starts the node and opens its doors; throws where one that is not optional cannot be opened. */
  open(): Promise<readonly DoorState[]>
  /**
   * Opens the doors of a kind whose transport could not be had at first, and returns them: none where it could, or when
   * the node has stopped. Rejects where it still cannot.
   */
  openLate(kind: DoorKind): Promise<readonly DoorState[]>
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
  const doors = new FrontDoors(options.listen)
  const privateKey = repeatSigner(options.privateKey)
  const self = peerIdFromPrivateKey(privateKey)
  const { init: secured, aead } = await securityOf(options.security ?? { protocols: ['noise', 'tls'] }, () =>
    gate.refuse('wrong-swarm-key'),
  )
  let listening = (): Multiaddr[] => []
  let listen = async (_: Multiaddr[]): Promise<void> => {}
  let add = (_: TransportFactory): void => {}
  const announcer = new Announcer(
    {
      privateKey,
      listening: () => listening(),
      certificateNames: () => options.certificates?.names ?? [],
    },
    options.announce,
  )
  const advertised = (): Multiaddr[] => announcer.advertised()
  const context = {
    ...deadlines,
    gate,
    trusts: trustIn(trusted),
    handleRequest,
    proxyProtocol: protocol,
    idleTimeoutMs,
    ...(options.certificates && { certificates: options.certificates }),
    ...(options.keeping && { keeping: options.keeping }),
  }
  const node = await createLibp2p({
    ...common({ ...options, privateKey }),
    start: false,
    // The doors are opened one by one, once the node has started.
    addresses: { listen: [], announceFilter: advertised },
    connectionGater: gate.connectionGater(),
    connectionManager: {
      ...timeouts,
      // Who is on this list passes the library's own limits unasked. The gate has the say.
      allow: ['/ip4/0.0.0.0/ipcidr/0', '/ip6/::/ipcidr/0'],
      maxConnections: Number.MAX_SAFE_INTEGER,
    },
    // A ping to every client every ten seconds buys nothing: dead sockets end by keep-alive and idle timeout.
    connectionMonitor: { enabled: false },
    transports: await doors.transports(context),
    ...secured,
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
        listen = (addresses) => components.transportManager.listen(addresses)
        add = (transport) => components.transportManager.add(transport(components))
        listConnectionsQuickly(components)
        forgetOthers(components.peerStore, self)
        tellRecord(components.peerStore, self, announcer)
        return {}
      },
    },
  })
  const open = async (): Promise<readonly DoorState[]> => {
    await node.start()
    return doors.open(listen)
  }
  const openLate = async (kind: DoorKind): Promise<readonly DoorState[]> => {
    if (!doors.lacks(kind)) return []
    const transport = await doors.lateTransport(kind, context)
    if (node.status !== 'started') return []
    add(transport)
    return doors.open(listen, kind)
  }
  return { node: node as unknown as Libp2p, open, openLate, aead, advertised, listening: () => listening() }
}

export interface LaneHostOptions extends HostOptions {
  /** Default: true. */
  readonly start?: boolean
  /**
   * What is offered, in this order; the first that a backend speaks is taken. Default: TLS, which costs half as much
   * per byte, then Noise, in a public network. Kubo speaks both.
   */
  readonly security?: ConnectionSecurity
  /** Called for each connection to a backend with another swarm key, or none. */
  readonly wrongSwarmKey?: () => void
}

/** Returns a host, started unless told otherwise, that dials backends over TCP, accepts nobody and answers identify and ping only. */
export async function createLaneHost(options: LaneHostOptions): Promise<Libp2p> {
  const self = peerIdFromPrivateKey(options.privateKey)
  const security = options.security ?? { protocols: ['tls', 'noise'] }
  const { init: secured } = await securityOf(security, options.wrongSwarmKey)
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
    ...secured,
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

/** Returns how many connections are open, by the kind of door that they came by. */
export function connectionsByTransport(node: Libp2p): Record<DoorKind, number> {
  const counts = Object.fromEntries(doorKinds.map((kind) => [kind, 0])) as Record<DoorKind, number>
  for (const { remoteAddr } of node.getConnections()) counts[doorOfConnection(remoteAddr)]++
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

/** Identify would sign what is announced anew for every client: it finds the record that holds now, signed once. */
function tellRecord(peerStore: PeerStore, self: PeerId, announcer: Announcer): void {
  const read = peerStore.get.bind(peerStore)
  peerStore.get = async (peer, options) => {
    const known = await read(peer, options)
    const record = peer.equals(self) ? await announcer.record() : undefined
    return record === undefined ? known : { ...known, peerRecordEnvelope: record }
  }
}

/** What libp2p hands to the parts it is made of. */
type TransportFactory = NonNullable<Libp2pInit['transports']>[number]
type Components = Parameters<TransportFactory>[0]

/**
 * The library lists its connections by concatenating an array per peer, twice for each new connection:
 * quadratic work, seconds per connection at tens of thousands. This lists them once through.
 */
function listConnectionsQuickly({ connectionManager }: Components): void {
  const ofPeer = connectionManager.getConnections.bind(connectionManager)
  connectionManager.getConnections = (peer?: PeerId): Connection[] =>
    peer === undefined ? [...connectionManager.getConnectionsMap().values()].flat() : ofPeer(peer)
}
