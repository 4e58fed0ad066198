/**
 * The doors of the front: which transport serves which kind, and how they are opened, each on its own, so that one
 * which cannot be is named with its reason, and one that is optional stops nothing.
 *
 * A kind that nobody asked for is not loaded: some bring native code. Memory: one entry per door.
 */

import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Libp2pInit } from 'libp2p'
import type { DoorKind, ListenAddress } from '#src/config/listen.ts'
import type { DoorDeps } from '#src/p2p/door/door.ts'
import { explainClosed, explainMissing } from '#src/p2p/door/door-fault.ts'
import { tcpTransport } from '#src/p2p/tcp/tcp-listener.ts'
import type { RequestHandler } from '#src/p2p/web/http-door.ts'
import type { SecureContexts } from '#src/p2p/web/tls-handshake.ts'
import { webDoor } from '#src/p2p/web/web-listener.ts'
import type { DoorState } from '#src/telemetry/metrics.ts'
import { KitsuneError } from '#src/util/errors.ts'

/** What doors are made with. */
export interface DoorContext extends DoorDeps {
  readonly handleRequest: RequestHandler
  /** Listeners where every connection begins with a PROXY header, and how long that may take. */
  readonly proxyProtocol: readonly ('tcp' | 'ws')[]
  readonly headerTimeoutMs?: number
  /** A TCP client without a word for this long is closed. */
  readonly idleTimeoutMs: number
  /** Needed by wss. */
  readonly certificates?: WebCertificates
  /** Needed by doors that make certificates of their own. */
  readonly keeping?: Keeping
}

/** Where doors keep what they make for themselves, and who is told of it. */
export interface Keeping {
  readonly dataDir: string
  readonly warn: (message: string, facts: Readonly<Record<string, unknown>>) => void
}

/** The certificates of the web port: `Certificates`. */
export interface WebCertificates extends SecureContexts {
  /** Makes them ready; rejects with what is wrong with them. */
  load(): Promise<void>
  /** The hosts that they are for, wildcards among them; they change with the files. */
  readonly names: readonly string[]
}

type TransportFactory = NonNullable<Libp2pInit['transports']>[number]
type Maker = (context: DoorContext) => TransportFactory | Promise<TransportFactory>

/** How the transport of each kind is made; one that needs native code loads it here, and throws where it cannot. */
const makers: Readonly<Record<DoorKind, Maker>> = {
  tcp: ({ proxyProtocol, ...context }) =>
    tcpTransport(context, { ...context, proxyProtocol: proxyProtocol.includes('tcp') }),
  ws: ({ proxyProtocol, ...context }) =>
    webDoor(context, { ...context, proxyProtocol: proxyProtocol.includes('ws') }),
  wss: async ({ proxyProtocol, certificates, ...context }) => {
    if (certificates === undefined) throw new Error('it has no certificate')
    await certificates.load()
    return webDoor(context, { ...context, tls: certificates, proxyProtocol: proxyProtocol.includes('ws') })
  },
  'quic-v1': async () => (await import('#src/p2p/quic/quic-listener.ts')).quicDoor(),
  'webrtc-direct': async ({ gate, keeping }) => {
    if (keeping === undefined) throw new Error('it has no directory for its certificate')
    return (await import('#src/p2p/webrtc/webrtc-listener.ts')).webRtcDoor({ gate, keeping })
  },
  webtransport: async ({ gate, keeping }) => {
    if (keeping === undefined) throw new Error('it has no directory for its certificates')
    return (await import('#src/p2p/webtransport/transport.ts')).webTransportDoor({ gate, ...keeping })
  },
}

export class FrontDoors {
  readonly #doors: readonly ListenAddress[]
  readonly #faults = new Map<DoorKind, unknown>()

  constructor(doors: readonly ListenAddress[]) {
    this.#doors = doors
  }

  /** Returns the transports that the doors need; what cannot be had is told when they are opened. */
  async transports(context: DoorContext): Promise<TransportFactory[]> {
    const kinds = [...new Set(this.#doors.map(({ kind }) => kind))]
    const made = await Promise.all(
      kinds.map(async (kind) => {
        try {
          return await makers[kind](context)
        } catch (error) {
          this.#faults.set(kind, error)
          return undefined
        }
      }),
    )
    return made.filter((transport) => transport !== undefined)
  }

  /** Whether there are doors of a kind whose transport could not be had. */
  lacks(kind: DoorKind): boolean {
    return this.#faults.has(kind)
  }

  /** Returns the transport of a kind that could not be had before; rejects where it still cannot. */
  async lateTransport(kind: DoorKind, context: DoorContext): Promise<TransportFactory> {
    const transport = await makers[kind](context)
    this.#faults.delete(kind)
    return transport
  }

  /**
   * Opens them all, or those of a kind, each by itself, and returns what became of them. Throws with every door that is
   * not optional and cannot be opened; the others stay open until the host stops.
   */
  async open(listen: (addresses: Multiaddr[]) => Promise<void>, only?: DoorKind): Promise<DoorState[]> {
    const wanted = this.#doors.filter(({ kind }) => only === undefined || kind === only)
    const states = await Promise.all(
      wanted.map(async (door): Promise<DoorState> => {
        const { address, kind } = door
        if (this.#faults.has(kind))
          return { address, kind, fault: await explainMissing(this.#faults.get(kind)) }
        return listen([multiaddr(address)]).then(
          () => ({ address, kind }),
          async (error: unknown) => ({ address, kind, fault: await explainClosed(door, error) }),
        )
      }),
    )
    const optional = new Set(this.#doors.filter((door) => door.optional).map(({ address }) => address))
    const closed = states.filter(({ address, fault }) => fault !== undefined && !optional.has(address))
    if (closed.length === 0) return states
    throw new KitsuneError('LISTEN_FAILED', 'The front cannot listen', {
      facts: {
        reasons: closed.map(({ address, fault }) => `${address}: ${fault}`),
        hint: 'See KITSUNE_LISTEN: a ? behind an address makes it optional.',
      },
    })
  }
}

/** What the transport of a connection is; each door gives its connections addresses of its own shape. */
export function doorOfConnection(remote: Multiaddr): DoorKind {
  const names = remote.getComponents().map(({ name }) => name)
  if (names.includes('webtransport')) return 'webtransport'
  if (names.includes('webrtc-direct')) return 'webrtc-direct'
  if (names.includes('quic-v1')) return 'quic-v1'
  if (!names.includes('ws') && !names.includes('wss')) return 'tcp'
  return names.includes('tls') || names.includes('wss') ? 'wss' : 'ws'
}
