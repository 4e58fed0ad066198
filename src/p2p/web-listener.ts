/**
 * The web port: one HTTP server per `/tcp/N/ws` address that speaks libp2p over WebSocket to whoever asks
 * for an upgrade and plain HTTP to everyone else. js-ipfs needs both on one port.
 *
 * Sockets come in by the door. One of a load balancer that is trusted is shared by its clients: each request
 * counts for the address that it is from as long as it is answered, a WebSocket as long as it is open. What a
 * socket can hold up is bounded by its turn's deadlines, the gate, and the size of one WebSocket message.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener, RequestError } from '@hono/node-server'
import { type CreateListenerOptions, type Listener, type Transport, transportSymbol } from '@libp2p/interface'
import { ipPortToMultiaddr } from '@libp2p/utils'
import { type WebSocketsComponents, webSockets } from '@libp2p/websockets'
import type { Multiaddr } from '@multiformats/multiaddr'
import { type WebSocket, WebSocketServer } from 'ws'
import { Door, type DoorDeps, type DoorOptions } from '#src/p2p/door.ts'
import { admit, refuseRequest, refuseUpgrade } from '#src/p2p/http-admission.ts'
import { HttpTurn, type TurnOptions } from '#src/p2p/http-turn.ts'
import type { Endpoint } from '#src/p2p/proxy-protocol.ts'
import { WebSocketConnection } from '#src/p2p/web-socket-connection.ts'
import { asError } from '#src/util/errors.ts'

/** What a request handler may know of the client besides its request. */
export interface RequestFacts {
  /** Its IP address: of the socket, or as a trusted load balancer tells it. */
  readonly remoteAddress: string
}

/** Answers plain HTTP on the web port, in the shape of `fetch`; Hono's `app.fetch` fits. */
export type RequestHandler = (request: Request, facts: RequestFacts) => Response | Promise<Response>

export interface WebTransportDeps extends DoorDeps {
  readonly handleRequest: RequestHandler
}

export interface WebTransportOptions extends DoorOptions {
  /** Deadlines of clients. Default 10 s for a request's head, 1 min for its body, 2 min without reading on. */
  readonly turns?: Partial<TurnOptions>
}

const defaultTurns: TurnOptions = { headMs: 10_000, bodyMs: 60_000, stallMs: 120_000 }
/** Largest head of a request, as most servers have it; it bounds what headers can hold. */
const maxHeadBytes = 16 * 1024
/** For requests without `Host`, which HTTP/1.0 (of the checks of load balancers) need not have: no route depends on it. */
const nobodysHost = 'localhost'
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
      createListener: ({ upgrader }): Listener =>
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

/** A socket that was let in: whom it is taken for, and the deadlines that it keeps. */
interface Guest {
  readonly peer: Endpoint
  readonly turn: HttpTurn
}

class WebListener extends Door {
  readonly #components: ListenerComponents
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  })
  readonly #server: Server
  readonly #turns: TurnOptions
  readonly #guests = new WeakMap<Socket, Guest>()
  readonly #clients = new WeakMap<object, Endpoint>()
  readonly #answered = new WeakSet<WebSocket>()
  #pings: ReturnType<typeof setInterval> | undefined

  constructor(deps: WebTransportDeps, components: ListenerComponents, options: WebTransportOptions) {
    super(deps, options)
    this.#components = components
    this.#turns = { ...defaultTurns, ...options.turns }
    const answer = getRequestListener(
      (request, { incoming }) =>
        deps.handleRequest(request, { remoteAddress: this.#clients.get(incoming)?.host ?? '' }),
      { overrideGlobalObjects: false, hostname: nobodysHost, errorHandler: answerFault },
    )
    this.#server = createServer({ maxHeaderSize: maxHeadBytes }, (request, response) => {
      if (this.#admits(request, response)) void answer(request, response)
    })
    this.#server.on('upgrade', (request, _socket, head) => this.#onUpgrade(request, head))
    this.#server.on('clientError', (error, socket) => refuseHead(error, socket))
  }

  override async listen(address: Multiaddr): Promise<void> {
    await super.listen(address)
    this.#pings = setInterval(() => this.#ping(), pingEveryMs)
    this.#pings.unref()
  }

  override getAddrs(): Multiaddr[] {
    return super.getAddrs().map((address) => address.encapsulate('/ws'))
  }

  override async close(): Promise<void> {
    clearInterval(this.#pings)
    this.#sockets.close()
    this.#server.close()
    await super.close()
  }

  protected override leavesCounting(host: string): boolean {
    return this.deps.trusts(host)
  }

  protected override welcome(socket: Socket, peer: Endpoint): void {
    this.#guests.set(socket, { peer, turn: new HttpTurn(socket, this.#turns) })
    this.#server.emit('connection', socket)
  }

  #guest(socket: Socket): Guest {
    const guest = this.#guests.get(socket)
    if (guest === undefined) throw new Error('a request on a socket that was not let in')
    return guest
  }

  #admits(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const { peer, turn } = this.#guest(socket)
    if (!turn.begin(request, response)) {
      this.deps.gate.refuse('too-many-requests-on-a-socket')
      socket.destroy()
      return false
    }
    const admission = admit(this.deps, peer, { headers: request.headers, upgrade: false })
    if (admission.kind === 'refused') {
      refuseRequest(response, admission.refusal)
      return false
    }
    if (admission.leave) response.once('close', admission.leave)
    this.#clients.set(request, admission.client)
    return true
  }

  #onUpgrade(request: IncomingMessage, head: Buffer): void {
    const { socket } = request
    const { peer, turn } = this.#guest(socket)
    const admission = admit(this.deps, peer, { headers: request.headers, upgrade: true })
    if (admission.kind === 'refused') {
      refuseUpgrade(socket, admission.refusal)
      return
    }
    turn.release()
    if (admission.leave) socket.once('close', admission.leave)
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) =>
      this.#accept(webSocket, admission.client),
    )
  }

  #accept(socket: WebSocket, client: Endpoint): void {
    const connection = new WebSocketConnection({
      socket,
      remoteAddr: ipPortToMultiaddr(client.host, client.port).encapsulate('/ws'),
      direction: 'inbound',
      log: this.#components.logger.forComponent('libp2p:websockets:connection'),
    })
    this.deps.gate.vouchFor(connection)
    socket.on('pong', () => this.#answered.add(socket))
    this.#answered.add(socket)
    this.#components.upgrader
      .upgradeInbound(connection, { signal: this.closing })
      .catch((error: unknown) => connection.abort(asError(error)))
  }

  #ping(): void {
    for (const socket of this.#sockets.clients) {
      if (this.#answered.delete(socket)) socket.ping()
      else socket.terminate()
    }
  }
}

/** Answers what did not get to a handler, or was thrown by one. */
function answerFault(error: unknown): Response {
  if (error instanceof RequestError) return new Response('bad request', { status: 400 })
  return new Response('internal error', { status: 500 })
}

/** Answers what is no request that can be read: a head that is too long (as a query may be), or no HTTP at all. */
function refuseHead(error: NodeJS.ErrnoException, socket: Duplex): void {
  const reason =
    error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
  if (!socket.writable) socket.destroy()
  else
    socket.end(`HTTP/1.1 ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy())
}
