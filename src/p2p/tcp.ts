import type { Socket } from 'node:net'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { type TCPOptions, tcp } from '@libp2p/tcp'
import type { Uint8ArrayList } from 'uint8arraylist'
import { handBack, isLent } from '#src/p2p/send-buffers.ts'

/**
 * The library's TCP transport, but each send is one write, and small sends of one turn of the loop are one
 * together: the library writes the pieces of a message one by one, each a system call and a packet.
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

/** Smaller sends wait for the end of the turn: window updates and presences come in swarms. */
const smallBytes = 4 * 1024

function join(connection: MultiaddrConnection): MultiaddrConnection {
  const { socket } = connection as unknown as SocketConnection
  let small: Uint8Array[] = []
  const flush = (): void => {
    if (small.length === 0) return
    const together = small.length === 1 ? (small[0] as Uint8Array) : Buffer.concat(small)
    small = []
    if (socket.writable) socket.write(together)
  }
  const send = (bytes: Uint8Array): void => {
    if (bytes.length < smallBytes) {
      if (small.push(bytes) === 1) queueMicrotask(flush)
      return
    }
    flush()
    if (isLent(bytes)) socket.write(bytes, () => handBack(bytes))
    else socket.write(bytes)
  }
  const target = connection as unknown as SocketConnection
  target.sendData = (list) => {
    send(list.subarray())
    return { sentBytes: list.byteLength, canSendMore: !socket.writableNeedDrain }
  }
  return connection
}
