import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { bind, listenOnSocket } from '#src/http/socket-file.ts'
import { KitsuneError } from '#src/util/errors.ts'

type Answer = (request: Request) => Response | Promise<Response>

/** 0 takes a free one. */
type OnPort = { readonly host: string; readonly port: number }
/** A TCP port, or a socket in the file system for the owner and his group. */
export type ServeAt = OnPort | { readonly path: string }

export interface ServeLimits {
  /** Further connections are closed at once. Default 256: scrapers and load checks need a handful. */
  readonly maxConnections?: number
  /** A request must have come in whole after this time. Default 10 s: requests here have no body to speak of. */
  readonly requestTimeoutMs?: number
  /** Largest head of a request. Default 16 KiB, as most servers. */
  readonly maxHeaderBytes?: number
}

export type ServeOptions = ServeAt & ServeLimits

export interface Served<At = ServeAt> {
  /** Where it really listens. */
  readonly address: At
  /** Closes the port, lets answers under way finish for a second, then closes their connections. Idempotent. */
  stop(): Promise<void>
}

const stopGraceMs = 1_000
const keepAliveMs = 60_000

/**
 * Puts an app where it can be asked. Resolves when it listens; throws `port-in-use`, `port-forbidden`,
 * `address-not-here` or `listen-failed` with `{ host, port }` as facts, or `socket-…` with `{ path }`.
 */
export async function serveHttp(fetch: Answer, options: OnPort & ServeLimits): Promise<Served<OnPort>>
export async function serveHttp(fetch: Answer, options: ServeOptions): Promise<Served>
export async function serveHttp(fetch: Answer, options: ServeOptions): Promise<Served> {
  const { maxConnections = 256, requestTimeoutMs = 10_000, maxHeaderBytes = 16 * 1024 } = options
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: Math.min(requestTimeoutMs, 1_000),
    },
    // The adapter would replace the global Request and Response of the whole process. Checks by HTTP/1.0 name no host.
    getRequestListener(fetch, { overrideGlobalObjects: false, hostname: 'localhost' }),
  )
  const sockets = capConnections(server, maxConnections)
  const address = await ('path' in options ? listenOnSocket(server, options.path) : listen(server, options))
  let stopped: Promise<void> | undefined
  return {
    address,
    stop: () => {
      stopped ??= close(server, sockets)
      return stopped
    },
  }
}

/**
 * Own bookkeeping, because Bun ignores `server.maxConnections`. Bun reports a connection with its first request
 * only; one that stays silent is not counted there, and `requestTimeoutMs` ends it.
 */
function capConnections(server: Server, maxConnections: number): Set<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    if (sockets.size >= maxConnections) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

async function listen(server: Server, at: OnPort): Promise<OnPort> {
  const { host, port } = at
  await bind(server, { host, port }).catch((cause: NodeJS.ErrnoException) => {
    throw listenError(codes[cause.code ?? ''] ?? 'listen-failed', { host, port }, cause)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw listenError('listen-failed', { host, port })
  return { host: address.address, port: address.port }
}

const codes: Readonly<Record<string, ListenErrorCode>> = {
  EADDRINUSE: 'port-in-use',
  EACCES: 'port-forbidden',
  EADDRNOTAVAIL: 'address-not-here',
}

const messages = {
  'port-in-use': 'the port is taken: stop the process that holds it, or choose another port',
  'port-forbidden': 'this user may not open the port: choose one above 1023, or grant CAP_NET_BIND_SERVICE',
  'address-not-here':
    'no interface of this machine has the address: listen on one that it has, or on 0.0.0.0',
  'listen-failed': 'the port could not be opened',
}
type ListenErrorCode = keyof typeof messages

function listenError(code: ListenErrorCode, facts: Record<string, unknown>, cause?: unknown): KitsuneError {
  return new KitsuneError(code, messages[code], { facts, cause })
}

function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => {
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    }, stopGraceMs)
    server.close(() => {
      clearTimeout(force)
      resolve()
    })
    server.closeIdleConnections()
  })
}
