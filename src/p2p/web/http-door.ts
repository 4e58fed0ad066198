/**
 * A door behind which HTTP is spoken, plain or over TLS: handshakes, deadlines, and who may ask how much. What a request is
 * answered is the handler's.
 *
 * A socket of a load balancer that is trusted is shared by its clients: each request counts for the address that it is
 * from as long as it is answered. What a socket can hold up is bounded by its turn's deadlines and the gate.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener, RequestError } from '@hono/node-server'
import { Door, type DoorDeps, type DoorOptions } from '#src/p2p/door/door.ts'
import type { Endpoint } from '#src/p2p/door/proxy-protocol.ts'
import { admit, refuseRequest } from '#src/p2p/web/http-admission.ts'
import { HttpTurn, type TurnOptions } from '#src/p2p/web/http-turn.ts'
import { type SecureContexts, shakeHands } from '#src/p2p/web/tls-handshake.ts'

/** What a request handler may know of the client besides its request. */
export interface RequestFacts {
  /** Its IP address: of the socket, or as a trusted load balancer tells it. */
  readonly remoteAddress: string
}

/** Answers plain HTTP, in the shape of `fetch`; Hono's `app.fetch` fits. */
export type RequestHandler = (request: Request, facts: RequestFacts) => Response | Promise<Response>

export interface HttpDoorDeps extends DoorDeps {
  readonly handleRequest: RequestHandler
}

export interface HttpDoorOptions extends DoorOptions {
  /** Deadlines of clients. Default 10 s for a request's head, 1 min for its body, 2 min without reading on. */
  readonly turns?: Partial<TurnOptions>
  /** Speaks TLS with these. Default: it does not. */
  readonly tls?: SecureContexts
  /** From a socket, or its PROXY header, to the end of its TLS handshake. Default 8 s. */
  readonly handshakeTimeoutMs?: number
}

const defaultTurns: TurnOptions = { headMs: 10_000, bodyMs: 60_000, stallMs: 120_000 }
/** Largest head of a request, as most servers have it; it bounds what headers can hold. */
const maxHeadBytes = 16 * 1024
/** For requests without `Host`, which HTTP/1.0 (of the checks of load balancers) need not have: no route depends on it. */
const nobodysHost = 'localhost'

/** A socket that was let in: whom it is taken for, and the deadlines that it keeps. */
interface Guest {
  readonly peer: Endpoint
  readonly turn: HttpTurn
}

export class HttpDoor extends Door {
  protected override readonly deps: HttpDoorDeps
  protected readonly server: Server
  readonly #turns: TurnOptions
  readonly #tls: SecureContexts | undefined
  readonly #handshakeTimeoutMs: number
  readonly #guests = new WeakMap<Socket, Guest>()
  readonly #clients = new WeakMap<object, Endpoint>()

  constructor(deps: HttpDoorDeps, options: HttpDoorOptions) {
    super(deps, options)
    this.deps = deps
    this.#turns = { ...defaultTurns, ...options.turns }
    this.#tls = options.tls
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? 8_000
    const answer = getRequestListener(
      (request, { incoming }) =>
        deps.handleRequest(request, { remoteAddress: this.#clients.get(incoming)?.host ?? '' }),
      { overrideGlobalObjects: false, hostname: nobodysHost, errorHandler: answerFault },
    )
    this.server = createServer({ maxHeaderSize: maxHeadBytes }, (request, response) => {
      if (this.#admits(request, response)) void answer(request, response)
    })
    this.server.on('clientError', (error, socket) => refuseHead(error, socket))
  }

  override async close(): Promise<void> {
    this.server.close()
    await super.close()
  }

  protected override leavesCounting(host: string): boolean {
    return this.deps.trusts(host)
  }

  protected override welcome(socket: Socket, peer: Endpoint): void {
    if (this.#tls === undefined) {
      this.#listenTo(socket, peer)
      return
    }
    shakeHands(socket, this.#tls, this.#handshakeTimeoutMs, (outcome) => {
      if (outcome.kind === 'secure') this.#listenTo(outcome.socket, peer)
      else if (outcome.kind === 'failed') this.deps.gate.refuse('bad-tls-handshake')
    })
  }

  #listenTo(socket: Socket, peer: Endpoint): void {
    this.#guests.set(socket, { peer, turn: new HttpTurn(socket, this.#turns) })
    this.server.emit('connection', socket)
  }

  /** Returns what is known of a socket on which a request came. */
  protected guest(socket: Socket): Guest {
    const guest = this.#guests.get(socket)
    if (guest === undefined) throw new Error('a request on a socket that was not let in')
    return guest
  }

  #admits(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const { peer, turn } = this.guest(socket)
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
