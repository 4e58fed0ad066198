import type { Socket } from 'node:net'
import type { AbortOptions, MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { type TCPOptions, tcp } from '@libp2p/tcp'
import type { SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { SocketWriter } from '#src/p2p/socket-writer.ts'

/**
 * Dials as the library's TCP transport does, but the connections write as `SocketWriter` has it: the library writes
 * the pieces of a message one by one. Nothing listens by it; clients come in by `tcp-listener`.
 *
 * Memory: that of the writer.
 */
export function quickTcp(
  options: TCPOptions,
): (components: Parameters<ReturnType<typeof tcp>>[0]) => Transport {
  const create = tcp(options)
  return (components) => {
    const transport = create(components)
    const dial = transport.dial.bind(transport)
    transport.dial = (address, dialOptions) =>
      dial(address, { ...dialOptions, upgrader: joining(dialOptions.upgrader) })
    return transport
  }
}

/** Returns the upgrader, given connections whose sends are single writes. */
function joining(upgrader: Upgrader): Upgrader {
  const { upgradeOutbound } = upgrader
  return {
    upgradeOutbound: (connection: MultiaddrConnection, options: never) =>
      upgradeOutbound.call(upgrader, join(connection), options),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
  } as Upgrader
}

/** What the library's TCP connection is made of, so far as it is touched here. */
interface SocketConnection {
  readonly socket: Socket
  sendData(bytes: Uint8ArrayList): SendResult
  sendClose(options?: AbortOptions): Promise<void>
}

function join(connection: MultiaddrConnection): MultiaddrConnection {
  const target = connection as unknown as SocketConnection
  const writer = new SocketWriter(target.socket)
  const close = target.sendClose.bind(target)
  target.sendData = (bytes) => writer.write(bytes)
  target.sendClose = (options) => {
    writer.flush()
    return close(options)
  }
  return connection
}
