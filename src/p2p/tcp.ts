import type { Socket } from 'node:net'
import type { AbortOptions, MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { type TCPOptions, tcp } from '@libp2p/tcp'
import type { SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { SocketWriter } from '#src/p2p/socket-writer.ts'

/**
 * Dials as the library's TCP transport does, but the connections write as `SocketWriter` has it: the library writes
 * the pieces of a message one by one. The edge does not listen by it: clients come in by `tcp-listener`.
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
    transport.dial = (address, dialOptions) => {
      const { signal } = dialOptions
      const options = { ...dialOptions, upgrader: joining(dialOptions.upgrader, signal) }
      // The library gives all its options to the socket, which then fails of the signal by itself when nobody listens
      // to it any more: an error that ends the process. So it is there to be read, and not to be copied.
      Object.defineProperty(options, 'signal', { value: signal, enumerable: false })
      return dial(address, options)
    }
    return transport
  }
}

/** Returns the upgrader, given connections whose sends are single writes. */
function joining(upgrader: Upgrader, signal: AbortSignal): Upgrader {
  const { upgradeOutbound } = upgrader
  return {
    upgradeOutbound: (connection: MultiaddrConnection, options: object) =>
      upgradeOutbound.call(upgrader, join(connection), { ...options, signal } as never),
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
