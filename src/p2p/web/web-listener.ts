/**
 * The web port: one HTTP server per `/tcp/N/ws` or `/tcp/N/tls/ws` address that speaks libp2p over WebSocket to whoever
 * asks for an upgrade and plain HTTP to everyone else. js-ipfs needs both on one port.
 *
 * Sockets come in by the door. A WebSocket on the socket of a load balancer that is trusted counts for the address
 * that it is from as long as it is open. What it can hold up is bounded by the gate and the size of one message.
 */

import type { IncomingMessage } from 'node:http'
import { type CreateListenerOptions, type Listener, type Transport, transportSymbol } from '@libp2p/interface'
import { ipPortToMultiaddr } from '@libp2p/utils'
import { type WebSocketsComponents, webSockets } from '@libp2p/websockets'
import type { Multiaddr } from '@multiformats/multiaddr'
import { type WebSocket, WebSocketServer } from 'ws'
import { addressesOf } from '#src/p2p/door/door-transport.ts'
import type { Endpoint } from '#src/p2p/door/proxy-protocol.ts'
import { admit, refuseUpgrade } from '#src/p2p/web/http-admission.ts'
import { HttpDoor, type HttpDoorDeps, type HttpDoorOptions } from '#src/p2p/web/http-door.ts'
import { WebSocketConnection } from '#src/p2p/web/web-socket-connection.ts'
import { asError } from '#src/util/errors.ts'

/** A dead peer behind a live NAT is found by this; it also keeps the NAT's entry alive. */
const pingEveryMs = 60_000
/** The most a client may put into one WebSocket message: twice what js-ipfs's mplex sends. */
const maxMessageBytes = 4 * 1024 * 1024

/** Returns a libp2p transport that listens as described above, over TLS if that is given; dialling is the library's own. */
export function webDoor(
  deps: HttpDoorDeps,
  options: HttpDoorOptions = {},
): (components: WebSocketsComponents) => Transport {
  const kind = kindBy(options)
  return (components) => {
    const library = webSockets()(components)
    return {
      [Symbol.toStringTag]: `kitsune/web${namesOf[kind]}`,
      [transportSymbol]: true,
      createListener: ({ upgrader }): Listener =>
        new WebListener(deps, { logger: components.logger, upgrader }, options),
      listenFilter: addressesOf(kind),
      dialFilter: (addresses) => library.dialFilter(addresses),
      dial: (address, options) => library.dial(address, options),
    }
  }
}

/** How addresses of the two kinds end. */
const namesOf = { ws: '/ws', wss: '/tls/ws' }

function kindBy({ tls }: HttpDoorOptions): keyof typeof namesOf {
  return tls === undefined ? 'ws' : 'wss'
}

type ListenerComponents = Pick<WebSocketsComponents, 'logger'> & Pick<CreateListenerOptions, 'upgrader'>

class WebListener extends HttpDoor {
  readonly #components: ListenerComponents
  readonly #names: string
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  })
  readonly #answered = new WeakSet<WebSocket>()
  #pings: ReturnType<typeof setInterval> | undefined

  constructor(deps: HttpDoorDeps, components: ListenerComponents, options: HttpDoorOptions) {
    super(deps, options)
    this.#components = components
    this.#names = namesOf[kindBy(options)]
    this.server.on('upgrade', (request, _socket, head) => this.#onUpgrade(request, head))
  }

  override async listen(address: Multiaddr): Promise<void> {
    await super.listen(address)
    this.#pings = setInterval(() => this.#ping(), pingEveryMs)
    this.#pings.unref()
  }

  override getAddrs(): Multiaddr[] {
    return super.getAddrs().map((address) => address.encapsulate(this.#names))
  }

  override async close(): Promise<void> {
    clearInterval(this.#pings)
    this.#sockets.close()
    await super.close()
  }

  #onUpgrade(request: IncomingMessage, head: Buffer): void {
    const { socket } = request
    const { peer, turn } = this.guest(socket)
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
      remoteAddr: ipPortToMultiaddr(client.host, client.port).encapsulate(this.#names),
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
