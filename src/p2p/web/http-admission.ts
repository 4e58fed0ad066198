/**
 * Lets requests in that share a socket: a load balancer's socket says nothing about who is calling, so each request
 * is counted for its own client, or refused in words that its operator can act upon.
 *
 * Memory: the gate's count of each address, as long as the one who was let in is there.
 */

import { type IncomingHttpHeaders, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { clientHost } from '#src/p2p/door/client-address.ts'
import type { DoorDeps } from '#src/p2p/door/door.ts'
import type { Leave } from '#src/p2p/door/gater.ts'
import type { Endpoint } from '#src/p2p/door/proxy-protocol.ts'

/** A refusal, as the client gets it. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

export type Admission =
  /** `leave` takes it out of the count; absent where its socket is counted. */
  | { readonly kind: 'admitted'; readonly client: Endpoint; readonly leave?: Leave }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** Browsers show scripts nothing of an answer without it, not even its status. */
const common = { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'text/plain; charset=utf-8' }

const contradiction: Refusal = {
  status: 400,
  headers: common,
  text:
    'X-Forwarded-For and Forwarded name different clients. The load balancer in front of this server sets one of ' +
    'them and passes the other on as the client sent it: let it remove that one, in nginx by ' +
    '`proxy_set_header Forwarded "";`, in HAProxy by `http-request del-header Forwarded`.\n',
}
const tooMany: Refusal = {
  status: 429,
  headers: { ...common, 'Retry-After': '10' },
  text: 'Too many connections and requests from this address.\n',
}
const draining: Refusal = {
  status: 503,
  headers: { ...common, 'Retry-After': '10' },
  text: 'This server is being stopped and takes no new connections.\n',
}

/** Counts a request, or a WebSocket if it is to become one, for the client that it is from. */
export function admit(
  deps: DoorDeps,
  peer: Endpoint,
  request: { readonly headers: IncomingHttpHeaders; readonly upgrade: boolean },
): Admission {
  const { gate, trusts } = deps
  if (!trusts(peer.host)) return { kind: 'admitted', client: peer }
  const told = clientHost(peer.host, request.headers, trusts)
  if (told.kind === 'contradiction') {
    gate.refuse('forwarding-contradiction')
    return { kind: 'refused', refusal: contradiction }
  }
  // Its socket may be older than the drain, it is not.
  if (request.upgrade && gate.closed) {
    gate.refuse('draining')
    return { kind: 'refused', refusal: draining }
  }
  const leave = gate.countFor(told.host)
  if (leave === undefined) return { kind: 'refused', refusal: tooMany }
  // Nobody told a port, and that of the load balancer is not the client's.
  const client = told.host === peer.host ? peer : { host: told.host, port: 0 }
  return { kind: 'admitted', client, leave }
}

/** Answers a request with a refusal. */
export function refuseRequest(response: ServerResponse, refusal: Refusal): void {
  response.writeHead(refusal.status, { ...refusal.headers })
  response.end(refusal.text)
}

/** Answers an upgrade with a refusal, and ends the socket. */
export function refuseUpgrade(socket: Socket, refusal: Refusal): void {
  const { status, headers, text } = refusal
  const fields = { ...headers, Connection: 'close', 'Content-Length': String(Buffer.byteLength(text)) }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${text}`)
  socket.destroySoon()
}
