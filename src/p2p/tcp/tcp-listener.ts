/**
 * The TCP port: clients' libp2p connections, as the door lets them in. The library's own listener takes the address
 * of the socket for that of the client, and cannot stand behind a PROXY header.
 *
 * Memory: one connection per socket that the gate counts.
 */

import type { Socket } from 'node:net'
import { type CreateListenerOptions, type Listener, type Transport, transportSymbol } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { ipPortToMultiaddr } from '@libp2p/utils'
import { Door, type DoorDeps, type DoorOptions } from '#src/p2p/door/door.ts'
import { addressesOf } from '#src/p2p/door/door-transport.ts'
import type { Endpoint } from '#src/p2p/door/proxy-protocol.ts'
import { TcpConnection } from '#src/p2p/tcp/tcp-connection.ts'
import { asError } from '#src/util/errors.ts'

type Components = Parameters<ReturnType<typeof tcp>>[0]
type ListenerComponents = Pick<Components, 'logger'> & Pick<CreateListenerOptions, 'upgrader'>

export interface TcpListenerOptions extends DoorOptions {
  /** A client without a word for this long is closed. */
  readonly idleTimeoutMs: number
}

/** Returns a libp2p transport that listens as described above; dialling is the library's own. */
export function tcpTransport(
  deps: DoorDeps,
  options: TcpListenerOptions,
): (components: Components) => Transport {
  return (components) => {
    const library = tcp()(components)
    return {
      [Symbol.toStringTag]: 'kitsune/tcp',
      [transportSymbol]: true,
      createListener: ({ upgrader }): Listener =>
        new TcpListener(deps, { logger: components.logger, upgrader }, options),
      listenFilter: addressesOf('tcp'),
      dialFilter: (addresses) => library.dialFilter(addresses),
      dial: (address, dialOptions) => library.dial(address, dialOptions as never),
    }
  }
}

class TcpListener extends Door {
  readonly #components: ListenerComponents
  readonly #idleTimeoutMs: number

  constructor(deps: DoorDeps, components: ListenerComponents, options: TcpListenerOptions) {
    super(deps, options)
    this.#components = components
    this.#idleTimeoutMs = options.idleTimeoutMs
  }

  protected override welcome(socket: Socket, client: Endpoint): void {
    const connection = new TcpConnection({
      socket,
      idleTimeoutMs: this.#idleTimeoutMs,
      remoteAddr: ipPortToMultiaddr(client.host, client.port),
      direction: 'inbound',
      log: this.#components.logger.forComponent('libp2p:tcp:connection'),
    })
    this.deps.gate.vouchFor(connection)
    this.#components.upgrader
      .upgradeInbound(connection, { signal: this.closing })
      .catch((error: unknown) => connection.abort(asError(error)))
  }
}
