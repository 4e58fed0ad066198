/** Ports for programs that cannot pick one themselves. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { TestProcess } from '#test/support/process.ts'

const acceptingWithinMs = 10_000

/** Returns two ports that were free a moment ago. */
export async function freePorts(): Promise<readonly [number, number]> {
  // Both are held before one is let go, or they could be the same.
  const servers = [createServer(), createServer()] as const
  for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
  const [first, second] = servers.map((server) => (server.address() as AddressInfo).port)
  for (const server of servers) await once(server.close(), 'close')
  return [first!, second!]
}

/** Returns the port in a multiaddr. */
export function portOf(address: string): number {
  return Number(/\/tcp\/(\d+)/.exec(address)?.[1])
}

/** Returns the multiaddr with another port. */
export function withPort(address: string, port: number): string {
  return address.replace(/\/tcp\/\d+/, `/tcp/${port}`)
}

/** Resolves once somebody accepts connections at a port; ends the process and rejects when nobody does. */
export async function untilAccepting(port: number, child: TestProcess): Promise<void> {
  const deadlineMs = performance.now() + acceptingWithinMs
  let ended = false
  void child.ended.then(() => {
    ended = true
  })
  while (performance.now() < deadlineMs && !ended) {
    const socket = connect(port, '127.0.0.1')
    const accepted = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (accepted) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await child.stop()
  throw new Error(`nothing listens at port ${port}; it said: ${child.log()}`)
}
