/**
 * Ports that this process may bind twice: for both versions of IP, since the addon's IPv6 sockets are for IPv4 as well,
 * and for two servers while a certificate changes. What is bound to be shared is bound even if another process has it,
 * so a port is tried first whether it is free, unless it is ours already.
 *
 * Memory: a number per listener.
 */

import type { H3Server } from '#src/p2p/webtransport/h3-server.ts'
import { canSharePort } from '#src/p2p/webtransport/shared-port.ts'

type Bind = (port: number, reusePort: boolean) => Promise<H3Server>

export class OwnPorts {
  readonly #ports = new Set<number>()
  #last: Promise<unknown> = Promise.resolve()

  /** Binds a port, 0 for any, after those that were asked for before. */
  bind(port: number, bind: Bind): Promise<H3Server> {
    const bound = this.#last.then(() => (canSharePort() ? this.#bindShared(port, bind) : bind(port, false)))
    this.#last = bound.catch(() => {})
    return bound
  }

  /** It is not ours any more. */
  release(port: number): void {
    this.#ports.delete(port)
  }

  async #bindShared(port: number, bind: Bind): Promise<H3Server> {
    const free = this.#ports.has(port) ? port : await freePort(port, bind)
    const server = await bind(free, true)
    this.#ports.add(server.port)
    return server
  }
}

async function freePort(port: number, bind: Bind): Promise<number> {
  const probe = await bind(port, false)
  await probe.close()
  return probe.port
}
