/**
 * TLS in front of an edge's web port, as a preload node has it: one port for `wss` and `https`, with a certificate
 * for `localhost` that nobody signed.
 */
import { execFileSync } from 'node:child_process'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { createServer } from 'node:tls'

/** A running door. */
export interface TlsDoor {
  readonly port: number
  stop(): Promise<void>
}

/** Whether certificates can be made here. */
export function opensslAvailable(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Starts a door to a port of this machine. */
export async function startTlsDoor(toPort: number): Promise<TlsDoor> {
  const pem = execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ...['-keyout', '-', '-out', '-'],
  ])
  const open = new Set<Socket>()
  const hold = (socket: Socket): void => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => {})
  }
  const server = createServer({ key: pem, cert: pem }, (outside) => {
    const inside = connect(toPort, '127.0.0.1')
    for (const socket of [outside, inside]) hold(socket)
    outside.pipe(inside).pipe(outside)
    // Who goes takes the other along: a page that is closed is gone for the edge too.
    outside.on('close', () => inside.destroy())
    inside.on('close', () => outside.destroy())
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}
