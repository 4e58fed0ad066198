/**
 * The web port: one HTTP server per `/tcp/N/ws` address that speaks libp2p over WebSocket to whoever asks
 * for an upgrade and plain HTTP to everyone else. js-ipfs needs both on one port.
 *
 * Every socket passes the gate before a byte of it is read, and leaves the count when it closes. What a
 * socket can hold up is bounded by its deadline, the gate, and the size of one WebSocket message.
 *
 * Sockets are accepted by `node:net` and handed to the HTTP server: Bun's own HTTP listener ignores
 * `ipv6Only`, so that the twins on 0.0.0.0 and :: collide. It also lets TLS or the PROXY protocol stand in
 * front. The HTTP server's own timeouts do not hold for such sockets, hence the deadlines here.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createDoor, type Server as Door, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import {
  type CreateListenerOptions,
  type Listener,
  type ListenerEvents,
  type Transport,
  TypedEventEmitter,
  transportSymbol,
} from '@libp2p/interface'
import { getThinWaistAddresses, ipPortToMultiaddr } from '@libp2p/utils'
import { type WebSocketsComponents, webSockets } from '@libp2p/websockets'
import type { Multiaddr } from '@multiformats/multiaddr'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Gate } from '#src/p2p/gater.ts'
import { WebSocketConnection } from '#src/p2p/web-socket-connection.ts'
import { asError } from '#src/util/errors.ts'

/** What a request handler may know of the client besides its request. */
export interface RequestFacts {
  /** IP address of the socket. */
  readonly remoteAddress: string
}

/** Answers plain HTTP on the web port, in the shape of `fetch`; Hono's `app.fetch` fits. */
export type RequestHandler = (request: Request, facts: RequestFacts) => Response | Promise<Response>

export interface WebTransportDeps {
  readonly gate: Gate
  readonly handleRequest: RequestHandler
}

export interface WebTransportOptions {
  /** A client that has not sent its request's headers by then is cut off. Default 10 s. */
  readonly headersTimeoutMs?: number
}

/** The same for what follows; nothing on this port takes a large body. */
const requestTimeoutMs = 60_000
/** A dead peer behind a live NAT is found by this; it also keeps the NAT's entry alive. */
const pingEveryMs = 60_000
/** The most a client may put into one WebSocket message: twice what js-ipfs's mplex sends. */
const maxMessageBytes = 4 * 1024 * 1024

/** Returns a libp2p transport that listens as described above; dialling is the library's own. */
export function webTransport(
  deps: WebTransportDeps,
  options: WebTransportOptions = {},
): (components: WebSocketsComponents) => Transport {
  return (components) => {
    const library = webSockets()(components)
    return {
      [Symbol.toStringTag]: 'kitsune/web',
      [transportSymbol]: true,
      createListener: ({ upgrader }) =>
        new WebListener(deps, { logger: components.logger, upgrader }, options),
      listenFilter: (addresses) => addresses.filter(isPlainWebSocket),
      dialFilter: (addresses) => library.dialFilter(addresses),
      dial: (address, options) => library.dial(address, options),
    }
  }
}

function isPlainWebSocket(address: Multiaddr): boolean {
  const names = address.getComponents().map((component) => component.name)
  return /^ip[46] tcp ws$/.test(names.join(' '))
}

type ListenerComponents = Pick<WebSocketsComponents, 'logger'> & Pick<CreateListenerOptions, 'upgrader'>

class WebListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #deps: WebTransportDeps
  readonly #components: ListenerComponents
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  })
  readonly #server: Server
  readonly #door: Door
  readonly #headersTimeoutMs: number
  /** Sockets open now, each with the timer that ends it unless it gets on. */
  readonly #open = new Map<Duplex, ReturnType<typeof setTimeout>>()
  readonly #answered = new WeakSet<WebSocket>()
  readonly #stopped = new AbortController()
  #pings: ReturnType<typeof setInterval> | undefined
  #listening: Multiaddr | undefined

  constructor(deps: WebTransportDeps, components: ListenerComponents, options: WebTransportOptions) {
    super()
    this.#deps = deps
    this.#components = components
    const listener = getRequestListener(
      (request, { incoming }) =>
        deps.handleRequest(request, { remoteAddress: incoming.socket.remoteAddress ?? '' }),
      { overrideGlobalObjects: false, errorHandler: () => new Response('internal error', { status: 500 }) },
    )
    this.#headersTimeoutMs = options.headersTimeoutMs ?? 10_000
    this.#server = createServer(listener)
    this.#server.on('request', (request, response) => this.#onRequest(request, response))
    this.#door = createDoor({ noDelay: true }, (socket) => this.#onSocket(socket))
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  async listen(address: Multiaddr): Promise<void> {
    const [ip, tcp] = address.getComponents()
    const host = ip?.value ?? '0.0.0.0'
    await new Promise<void>((resolve, reject) => {
      this.#door.once('error', reject)
      this.#door.listen(
        { host, port: Number(tcp?.value), ipv6Only: ip?.name === 'ip6', backlog: 4_096 },
        () => {
          this.#door.off('error', reject)
          resolve()
        },
      )
    })
    this.#door.on('error', (error) => this.safeDispatchEvent('error', { detail: error }))
    this.#listening = address
    this.#pings = setInterval(() => this.#ping(), pingEveryMs)
    this.#pings.unref()
    this.safeDispatchEvent('listening')
  }

  getAddrs(): Multiaddr[] {
    const bound = this.#door.address() as AddressInfo | null
    if (bound === null || this.#listening === undefined) return []
    return getThinWaistAddresses(this.#listening, bound.port).map((address) => address.encapsulate('/ws'))
  }

  updateAnnounceAddrs(): void {}

  async close(): Promise<void> {
    clearInterval(this.#pings)
    this.#stopped.abort()
    const closed = new Promise<void>((resolve) => this.#door.close(() => resolve()))
    this.#sockets.close()
    for (const socket of this.#open.keys()) socket.destroy()
    this.#server.close()
    await closed
    this.safeDispatchEvent('close')
  }

  #onSocket(socket: Socket): void {
    const leave = this.#deps.gate.enter(socket.remoteAddress ?? '')
    if (leave === undefined) {
      socket.destroy()
      return
    }
    this.#setDeadline(socket, this.#headersTimeoutMs)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      clearTimeout(this.#open.get(socket))
      this.#open.delete(socket)
      leave()
    })
    this.#server.emit('connection', socket)
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    this.#setDeadline(socket, requestTimeoutMs)
    response.once('close', () => this.#setDeadline(socket, this.#headersTimeoutMs))
  }

  /** Ends the socket after `ms`, unless another deadline is set or this one is cleared. */
  #setDeadline(socket: Duplex, ms: number): void {
    clearTimeout(this.#open.get(socket))
    if (!socket.destroyed)
      this.#open.set(
        socket,
        setTimeout(() => socket.destroy(), ms),
      )
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    clearTimeout(this.#open.get(socket))
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(webSocket, request))
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    const { remoteAddress, remotePort } = request.socket
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.terminate()
      return
    }
    const connection = new WebSocketConnection({
      socket,
      remoteAddr: ipPortToMultiaddr(remoteAddress, remotePort).encapsulate('/ws'),
      direction: 'inbound',
      log: this.#components.logger.forComponent('libp2p:websockets:connection'),
    })
    this.#deps.gate.vouchFor(connection)
    socket.on('pong', () => this.#answered.add(socket))
    this.#answered.add(socket)
    this.#components.upgrader
      .upgradeInbound(connection, { signal: this.#stopped.signal })
      .catch((error: unknown) => connection.abort(asError(error)))
  }

  #ping(): void {
    for (const socket of this.#sockets.clients) {
      if (this.#answered.delete(socket)) socket.ping()
      else socket.terminate()
    }
  }
}
