/**
 * Clients of a TLS port: one that says what it was given, and a tunnel for those that speak no TLS themselves.
 */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { type SocketRelay, startSocketRelay } from '#test/support/socket-relay.ts'

/** Opens a TLS connection to a port of this machine, whoever signed its certificate; resolves when it stands. */
export async function openTls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => {})
  const failed = new Promise<never>((_, reject) => {
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed in the TLS handshake')))
  })
  await Promise.race([once(socket, 'secureConnect'), failed])
  failed.catch(() => {})
  return socket
}

/** Returns the first name of the certificate that a port shows to who asks for `servername`. */
export async function certificateShown(port: number, servername?: string): Promise<string> {
  const socket = await openTls(port, servername === undefined ? {} : { servername })
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

/** Starts a tunnel: TLS to `port` for whoever connects to its own. */
export function startTlsTunnel(port: number): Promise<SocketRelay> {
  return startSocketRelay(
    () => connect({ socket: connectTcp(port, '127.0.0.1'), rejectUnauthorized: false }),
    (near, far) => near.pipe(far).pipe(near),
  )
}
