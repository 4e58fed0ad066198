import type { Socket } from 'node:net'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { type TCPOptions, tcp } from '@libp2p/tcp'
import type { Uint8ArrayList } from 'uint8arraylist'
import { handBack, isLent } from '#src/p2p/send-buffers.ts'

/**
 * The library's TCP transport, but each send is one write: the library writes the pieces of a message one
 * by one, and each is a system call and a packet of its own.
 *
 * Memory: the joined bytes, until the socket has taken them.
 */
export function quickTcp(
  options: TCPOptions,
): (components: Parameters<ReturnType<typeof tcp>>[0]) => Transport {
  const create = tcp(options)
  return (components) => {
    const transport = create(components)
    const createListener = transport.createListener.bind(transport)
    const dial = transport.dial.bind(transport)
    transport.createListener = (listenerOptions) =>
      createListener({ ...listenerOptions, upgrader: joining(listenerOptions.upgrader) })
    transport.dial = (address, dialOptions) =>
      dial(address, { ...dialOptions, upgrader: joining(dialOptions.upgrader) })
    return transport
  }
}

/** Returns the upgrader, given connections whose sends are single writes. */
function joining(upgrader: Upgrader): Upgrader {
  const { upgradeInbound, upgradeOutbound } = upgrader
  return {
    upgradeInbound: (connection: MultiaddrConnection, options: never) =>
      upgradeInbound.call(upgrader, join(connection), options),
    upgradeOutbound: (connection: MultiaddrConnection, options: never) =>
      upgradeOutbound.call(upgrader, join(connection), options),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
  } as Upgrader
}

/** What the library's TCP connection is made of, so far as it is touched here. */
interface SocketConnection {
  readonly socket: Socket
  sendData(bytes: Uint8ArrayList): { sentBytes: number; canSendMore: boolean }
}

function join(connection: MultiaddrConnection): MultiaddrConnection {
  const { socket } = connection as unknown as SocketConnection
  const target = connection as unknown as SocketConnection
  target.sendData = (list) => {
    const bytes = list.subarray()
    const canSendMore = isLent(bytes) ? socket.write(bytes, () => handBack(bytes)) : socket.write(bytes)
    return { sentBytes: bytes.byteLength, canSendMore }
  }
  return connection
}
