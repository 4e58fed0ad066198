/**
 * A load balancer in a few lines: passes connections on, with whatever a test wants said in front of them.
 */
import { connect } from 'node:net'
import { type SocketRelay, startSocketRelay } from '#test/support/socket-relay.ts'

/** Passes connections to 127.0.0.1 on to `port`; `rewrite` makes of the first bytes of each what is sent instead. */
export function startLoadBalancer(
  port: number,
  rewrite: (first: Buffer) => Uint8Array,
): Promise<SocketRelay> {
  return startSocketRelay(
    () => connect(port, '127.0.0.1'),
    (client, backend) => {
      client.setNoDelay(true)
      backend.setNoDelay(true)
      client.once('data', (first) => {
        backend.write(rewrite(first))
        client.pipe(backend)
      })
      backend.pipe(client)
    },
  )
}
