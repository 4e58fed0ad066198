/**
 * One listening TCP port: what the listeners of the front have in common. Every socket passes the gate before a byte
 * of it is read and leaves the count when it closes; where the PROXY protocol is on, its header is taken off first,
 * and only load balancers that are trusted may come at all: anybody else could call himself whatever he likes.
 *
 * Invariant: who is let in stands in the count of the address that he is taken for, unless the door leaves that to
 * his requests. Memory: the sockets that the gate lets in; one that owes its header has `headerTimeoutMs` for it.
 *
 * Sockets are accepted by `node:net` everywhere: Bun's own HTTP listener ignores `ipv6Only`, so that the twins on
 * 0.0.0.0 and :: collide.
 */

import { setMaxListeners } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Listener, type ListenerEvents, TypedEventEmitter } from '@libp2p/interface'
import { getThinWaistAddresses } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { plainHost } from '#src/p2p/addresses.ts'
import type { TrustsHost } from '#src/p2p/door/client-address.ts'
import type { Gate, Leave } from '#src/p2p/door/gater.ts'
import { type Endpoint, readProxyHeader } from '#src/p2p/door/proxy-protocol.ts'

export interface DoorDeps {
  readonly gate: Gate
  /** Load balancers whose word on who is calling counts. */
  readonly trusts: TrustsHost
}

export interface DoorOptions {
  /** Every connection begins with a PROXY header, and comes from who is trusted. Default: none does. */
  readonly proxyProtocol?: boolean
  /** How long that may take. Default 5 s: a load balancer sends it with its first packet. */
  readonly headerTimeoutMs?: number
}

/** A dead peer is found by the kernel, also where it owes us nothing and we owe it an answer. */
const keepAliveAfterMs = 60_000

export abstract class Door extends TypedEventEmitter<ListenerEvents> implements Listener {
  protected readonly deps: DoorDeps
  /** Aborted when the door closes. */
  protected readonly closing: AbortSignal
  readonly #stop = new AbortController()
  readonly #proxyProtocol: boolean
  readonly #headerTimeoutMs: number
  readonly #server: Server
  readonly #open = new Set<Socket>()
  #listening: Multiaddr | undefined

  constructor(deps: DoorDeps, options: DoorOptions) {
    super()
    this.deps = deps
    this.#proxyProtocol = options.proxyProtocol ?? false
    this.#headerTimeoutMs = options.headerTimeoutMs ?? 5_000
    this.closing = this.#stop.signal
    // Each handshake under way listens to it.
    setMaxListeners(Number.POSITIVE_INFINITY, this.closing)
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveAfterMs },
      (socket) => this.#onSocket(socket),
    )
  }

  /** Takes over a socket that was let in, at once: it may hold bytes already. `client` is whom it is taken for. */
  protected abstract welcome(socket: Socket, client: Endpoint): void

  /** Says that who is calling is only told later, by each request: nothing is counted for `host` here. */
  protected leavesCounting(_host: string): boolean {
    return false
  }

  async listen(address: Multiaddr): Promise<void> {
    const [ip, tcp] = address.getComponents()
    const host = ip?.value ?? '0.0.0.0'
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(
        { host, port: Number(tcp?.value), ipv6Only: ip?.name === 'ip6', backlog: 4_096 },
        () => {
          this.#server.off('error', reject)
          resolve()
        },
      )
    })
    this.#server.on('error', (error) => this.safeDispatchEvent('error', { detail: error }))
    this.#listening = address
    this.safeDispatchEvent('listening')
  }

  getAddrs(): Multiaddr[] {
    const bound = this.#server.address() as AddressInfo | null
    if (bound === null || this.#listening === undefined) return []
    return getThinWaistAddresses(this.#listening, bound.port)
  }

  updateAnnounceAddrs(): void {}

  /** Lets nobody in any more and ends whoever is. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#stop.abort()
    for (const socket of this.#open) socket.destroy()
    await closed
    this.safeDispatchEvent('close')
  }

  #onSocket(socket: Socket): void {
    const { remoteAddress = '', remotePort = 0 } = socket
    const host = plainHost(remoteAddress)
    // Without an address it is closed already.
    const leave = host === undefined ? undefined : this.#enter(host)
    if (host === undefined || leave === undefined) {
      socket.destroy()
      return
    }
    this.#open.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      this.#open.delete(socket)
      leave()
    })
    const peer = { host, port: remotePort }
    if (this.#proxyProtocol) this.#awaitHeader(socket, peer, leave)
    else this.#letIn(socket, peer, leave)
  }

  #enter(host: string): Leave | undefined {
    const { gate, trusts } = this.deps
    if (!this.#proxyProtocol || trusts(host)) return gate.enter()
    gate.refuse('untrusted-proxy')
    return undefined
  }

  #awaitHeader(socket: Socket, peer: Endpoint, leave: Leave): void {
    readProxyHeader(socket, this.#headerTimeoutMs, (read) => {
      if (read.kind === 'read') {
        this.#letIn(socket, read.source ?? peer, leave)
        socket.resume()
        return
      }
      // A load balancer that looks whether the port is open says nothing.
      if (read.kind !== 'closed' || !read.empty) this.deps.gate.refuse('bad-proxy-header')
      socket.destroy()
    })
  }

  #letIn(socket: Socket, client: Endpoint, leave: Leave): void {
    if (!this.leavesCounting(client.host)) {
      const uncount = this.deps.gate.countFor(client.host)
      if (uncount === undefined) {
        // Not only when it has closed: who knocks too often would take up everybody's places until then.
        leave()
        socket.destroy()
        return
      }
      socket.once('close', uncount)
    }
    this.welcome(socket, client)
  }
}
