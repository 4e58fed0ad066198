/**
 * Clients of a TLS port: one that says what it was given, and a tunnel for those that speak no TLS themselves.
 */
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'

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

/** A tunnel: TLS to `port` for whoever connects to `tunnel.port`. */
export interface TlsTunnel {
  readonly port: number
  stop(): Promise<void>
}

/** Starts one. */
export async function startTlsTunnel(port: number): Promise<TlsTunnel> {
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect({ socket: connectTcp(port, '127.0.0.1'), rejectUnauthorized: false })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.on('error', () => {})
      one.once('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
    near.pipe(far).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
