/**
 * Passes connections to a port of its own on to somewhere else: what tunnels and load balancers of tests are made of.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** A running one; `stop` ends what it carries as well. */
export interface SocketRelay {
  readonly port: number
  stop(): Promise<void>
}

/** Starts one: `dial` opens the far side of a connection, `join` says what passes. Where one side closes, both do. */
export async function startSocketRelay(
  dial: () => Socket,
  join: (near: Socket, far: Socket) => void,
): Promise<SocketRelay> {
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = dial()
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
    join(near, far)
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
