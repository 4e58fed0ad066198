/**
 * TLS on a socket that the door let in: the runtime's own, below JavaScript. A socket whose first bytes were read
 * already, because they came together with a PROXY header, cannot be handed down as it is: its bytes go by way of a stream, and the
 * name that it asks for is read here.
 *
 * Invariant: `done` is called once, with a socket that has the keys or with nothing; then the socket is dead. Memory: what has come of
 * the client's first message, at most 16 KiB; time: `timeoutMs`.
 */

import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { maxHelloBytes, parseClientHello } from '#src/p2p/web/client-hello.ts'
import { StreamedTls } from '#src/p2p/web/streamed-tls.ts'

/** Where contexts come from: `Certificates`. */
export interface SecureContexts {
  contextFor(name: string | undefined): SecureContext
}

export type HandshakeOutcome =
  | { readonly kind: 'secure'; readonly socket: TLSSocket }
  /** No TLS, none that is new enough, not in time, or the client did not like the certificate. */
  | { readonly kind: 'failed' }
  /** Closed without a word, as checks whether the port is open do. */
  | { readonly kind: 'empty' }

/** Makes the server's half of a handshake. */
export function shakeHands(
  socket: Socket,
  contexts: SecureContexts,
  timeoutMs: number,
  done: (outcome: HandshakeOutcome) => void,
): void {
  let over = false
  const finish = (outcome: HandshakeOutcome): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    socket.off('close', failed)
    if (outcome.kind !== 'secure') socket.destroy()
    done(outcome)
  }
  // A PROXY header that was read before is not the client's.
  const read = socket.bytesRead - socket.readableLength
  const failed = (): void => finish({ kind: socket.bytesRead === read ? 'empty' : 'failed' })
  const timer = setTimeout(() => finish({ kind: 'failed' }), timeoutMs)
  socket.once('close', failed)
  const watch = (tls: TLSSocket): void => {
    tls.on('error', () => {
      tls.destroy()
      failed()
    })
    tls.once('secure', () => finish({ kind: 'secure', socket: tls }))
  }
  if (socket.readableLength === 0) {
    const choose: Choose = (name, take) => take(null, contexts.contextFor(name))
    const secureContext = contexts.contextFor(undefined)
    watch(new TLSSocket(socket, { ...common, secureContext, SNICallback: choose }))
    return
  }
  readHello(socket, (name) => {
    if (!over) watch(new StreamedTls(socket, { ...common, secureContext: contexts.contextFor(name) }))
  })
}

const common = { isServer: true, ALPNProtocols: ['http/1.1'] }

type Choose = (name: string, take: (error: null, context: SecureContext) => void) => void

/** Calls `done` with the name in a client's first message, all of whose bytes are back in the socket, which is paused. */
function readHello(socket: Socket, done: (name: string | undefined) => void): void {
  let held: Buffer = Buffer.alloc(0)
  const onData = (bytes: Buffer): void => {
    held = Buffer.concat([held, bytes])
    const hello = parseClientHello(held)
    if (hello.kind === 'more' && held.length < maxHelloBytes) return
    socket.off('data', onData)
    socket.pause()
    socket.unshift(held)
    done(hello.kind === 'read' ? hello.name : undefined)
  }
  socket.on('data', onData)
}
