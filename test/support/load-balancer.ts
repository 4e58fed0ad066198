/**
 * A load balancer in a few lines: passes connections on, with whatever a test wants said in front of them.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A running one; `stop` ends what it carries as well. */
export interface LoadBalancer {
  readonly port: number
  stop(): Promise<void>
}

/** Passes connections to 127.0.0.1 on to `port`; `rewrite` makes of the first bytes of each what is sent instead. */
export async function startLoadBalancer(
  port: number,
  rewrite: (first: Buffer) => Uint8Array,
): Promise<LoadBalancer> {
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const backend = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [client, backend],
      [backend, client],
    ] as const) {
      open.add(from)
      from.setNoDelay(true)
      from.on('error', () => {})
      from.once('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
    client.once('data', (first) => {
      backend.write(rewrite(first))
      client.pipe(backend)
    })
    backend.pipe(client)
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
