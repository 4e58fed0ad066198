import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Libp2p } from 'libp2p'
import { protocols } from '#src/bitswap/protocol.ts'
import { muxerOf, serveQuickly } from '#src/mux/serve-quickly.ts'
import { addressGroup, remoteHost } from '#src/p2p/addresses.ts'
import { Inbound } from '#src/p2p/inbound.ts'
import { Outbound } from '#src/p2p/outbound.ts'
import { maxResendBytes, Resends } from '#src/p2p/resends.ts'
import type { FrontPeer } from '#src/relay/front-peer.ts'
import type { Relay } from '#src/relay/relay.ts'
import { asError } from '#src/util/errors.ts'

/**
 * Clients at the front: Bitswap streams of the public identity, one session per peer.
 *
 * Invariant: a session begins with a peer's first Bitswap stream, or when something is wanted from who is at
 * its address, and ends with its last connection; an answer goes out on a stream of ours, since js-ipfs
 * ignores replies on its own. Memory: one session per connected peer that speaks Bitswap, one entry per
 * connected peer and address.
 */

/** Streams one client may have open; js-ipfs opens one per message, Kubo keeps one. */
const maxStreams = 256
/** Messages that are not whole yet, of one client. */
const maxHeldBytes = 8 * 1024 * 1024
/** js-ipfs drops incoming streams that are idle for 30 s, Helia after 10 s, without telling. */
const idleMs = 5_000
const sweepMs = 1_000
/** How long a client may take to accept what is under way to it when the edge stops. */
const flushMs = 5_000

/** How multistream-select refuses a protocol; nothing else of that shape is sent on a client's stream. */
const notAvailable = Buffer.from('\u0003na\n')

interface Session {
  /** Where the client was last heard: an older connection may be dead without anybody knowing. */
  heardOn: Connection
  /** Where its answers go. */
  sendingOn: Connection | undefined
  readonly inbound: Inbound
  readonly outbound: Outbound
  readonly peer: FrontPeer
  /** It opened a Bitswap stream: it speaks the protocol. */
  speaks: boolean
}

export class Front {
  readonly #node: Libp2p
  readonly #relay: Relay
  readonly #sessions = new Map<string, Session>()
  /** Peer IDs connected from each address. */
  readonly #byAddress = new Map<string, Set<string>>()
  /** Connections on which no Bitswap stream can be opened. */
  readonly #mute = new WeakSet<Connection>()
  readonly #resends = new Resends(maxResendBytes)
  #sweeper: ReturnType<typeof setInterval> | undefined

  constructor(node: Libp2p, relay: Relay) {
    this.#node = node
    this.#relay = relay
  }

  /** Serves Bitswap from now on; to be called before the node listens. */
  async start(): Promise<void> {
    await this.#node.handle([...protocols], (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: maxStreams * 2,
      maxOutboundStreams: 16,
    })
    this.#node.addEventListener('peer:disconnect', (event) => this.#disconnected(event.detail))
    this.#node.addEventListener('connection:open', ({ detail: connection }) => {
      this.#watch(connection)
      this.#arrived(connection)
    })
    this.#node.addEventListener('connection:close', ({ detail: connection }) => {
      this.#departed(connection)
      this.#lost(connection)
    })
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
  }

  /** Ends all sessions, once what was sent to each has left. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeper)
    await Promise.all([...this.#sessions.values()].map(({ outbound }) => outbound.finish(flushMs)))
    for (const peer of [...this.#sessions.keys()]) this.#end(peer)
  }

  /** Gives a session to whoever is connected from an address, so that they can be asked for blocks. */
  reach(address: string): void {
    for (const id of this.#byAddress.get(address) ?? []) {
      if (this.#sessions.has(id)) continue
      const connection = this.#connectionsOf(id).find((each) => !this.#mute.has(each))
      if (connection !== undefined) this.#begin(id, connection)
    }
  }

  #arrived(connection: Connection): void {
    const id = connection.remotePeer.toString()
    const address = addressOf(connection)
    const there = this.#byAddress.get(address) ?? new Set()
    this.#byAddress.set(address, there.add(id))
    if (this.#sessions.has(id)) this.#locate(id)
    else if (this.#relay.expects(address)) this.#begin(id, connection)
  }

  #departed(connection: Connection): void {
    const id = connection.remotePeer.toString()
    const address = addressOf(connection)
    if (this.#connectionsOf(id).some((other) => addressOf(other) === address)) return
    const there = this.#byAddress.get(address)
    there?.delete(id)
    if (there?.size === 0) this.#byAddress.delete(address)
    this.#locate(id)
  }

  /** Tells the relay from where a client is connected. */
  #locate(id: string): void {
    this.#sessions.get(id)?.peer.at(new Set(this.#connectionsOf(id).map(addressOf)))
  }

  #connectionsOf(id: string): Connection[] {
    const all = this.#node.getConnections(peerIdFromString(id))
    return all.filter((connection) => connection.status === 'open')
  }

  /** Counts the protocols that are refused: the library does it without a word, but for that to the client. */
  #watch(connection: Connection): void {
    serveQuickly(connection, protocols, (stream) => this.#accept(stream, connection))
    muxerOf(connection)?.addEventListener('stream', ({ detail: stream }) => {
      const send = stream.send.bind(stream)
      stream.send = (bytes) => {
        if (bytes.byteLength === notAvailable.length && notAvailable.equals(bytes.subarray())) {
          this.#relay.counters.refusedClient['unknown-protocol']++
        }
        return send(bytes)
      }
    })
  }

  #accept(stream: Stream, connection: Connection): void {
    const id = connection.remotePeer.toString()
    const session = this.#sessions.get(id) ?? this.#begin(id, connection)
    session.heardOn = connection
    session.speaks = true
    if (session.sendingOn !== undefined && session.sendingOn !== connection) session.outbound.move()
    session.inbound.add(stream)
  }

  #begin(id: string, first: Connection): Session {
    const remote = first.remotePeer
    const connected = (): Connection[] =>
      this.#node.getConnections(remote).filter((connection) => connection.status === 'open')
    let offered: string[] = [...protocols]
    const outbound: Outbound = new Outbound({
      open: async (signal) => {
        const { heardOn } = session
        const connection = heardOn.status === 'open' ? heardOn : connected().at(-1)
        session.sendingOn = connection
        if (connection === undefined) throw new Error('no connection to the client')
        const stream = await connection.newStream(offered, { signal, maxOutboundStreams: 16 })
        // What it spoke last time is offered first: one round trip instead of up to four.
        offered = [stream.protocol, ...protocols.filter((protocol) => protocol !== stream.protocol)]
        return stream
      },
      take: (version) => peer.take(version),
      resends: this.#resends,
      hasWindows: () => session.sendingOn?.multiplexer !== '/mplex/6.7.0',
      stuck: (error) => {
        // Who does not answer at all may be a page that sleeps: it comes back when it wakes up without a connection.
        if (session.speaks || isUnanswered(error)) {
          for (const connection of connected()) connection.abort(asError(error))
        } else {
          this.#silence(id, connected())
        }
      },
    })
    const peer: FrontPeer = this.#relay.connectClient(outbound)
    const inbound = new Inbound({
      receive: (message) => peer.receive(message),
      refuse: (reason) => peer.refuse(reason),
      maxStreams,
      maxHeldBytes,
    })
    const session: Session = { heardOn: first, sendingOn: undefined, inbound, outbound, peer, speaks: false }
    this.#sessions.set(id, session)
    this.#locate(id)
    return session
  }

  /** Something was wanted from a peer that does not speak Bitswap: it is left alone. */
  #silence(id: string, connections: readonly Connection[]): void {
    for (const connection of connections) this.#mute.add(connection)
    this.#end(id)
  }

  /**
   * What was under way on a connection is lost with it, and a client asks again only when it was disconnected: so
   * one that has other connections is.
   */
  #lost(connection: Connection): void {
    const session = this.#sessions.get(connection.remotePeer.toString())
    if (session?.sendingOn !== connection || !session.outbound.sentLately(performance.now())) return
    for (const other of this.#node.getConnections(connection.remotePeer)) {
      other.abort(new Error('another connection was lost with what was under way'))
    }
  }

  #disconnected(remote: PeerId): void {
    if (this.#node.getConnections(remote).some((connection) => connection.status === 'open')) return
    this.#end(remote.toString())
  }

  #end(id: string): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    this.#sessions.delete(id)
    session.outbound.close()
    session.inbound.close()
    session.peer.close()
  }

  #sweep(): void {
    const nowMs = performance.now()
    this.#resends.sweep(nowMs)
    for (const session of this.#sessions.values()) {
      session.outbound.sweep(nowMs, idleMs)
      session.inbound.sweep(nowMs)
    }
  }
}

/** Whether a peer said nothing, rather than no, until the time was over. */
function isUnanswered(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')
}

/** What counts as one address: the client's own, whatever stands in front. */
function addressOf(connection: Connection): string {
  return addressGroup(remoteHost(connection.remoteAddr))
}
