import type { Connection, MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { type TCPOptions, tcp } from '@libp2p/tcp'
import { tlsProtocol } from '#src/p2p/peer-tls/peer-tls.ts'
import { joinWrites, type SocketConnection } from '#src/p2p/tcp/socket-connection.ts'

/**
 * Dials as the library's TCP transport does, but the connections write as `SocketWriter` has it: the library writes
 * the pieces of a message one by one. The edge does not listen by it: clients come in by `tcp-listener`.
 *
 * Who offers TLS and then fails at it (a libp2p on Bun or Deno does) is dialled once more, without it. Another peer than
 * was dialled stays another peer.
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
    const log = components.logger.forComponent('kitsune:tcp')
    transport.dial = async (address, dialOptions) => {
      const { upgrader, signal } = dialOptions
      let dialled: SocketConnection | undefined
      const by = (upgrader: Upgrader): Promise<Connection> => {
        const seen = seeing(upgrader, signal, (connection) => {
          dialled = connection
          joinWrites(connection)
        })
        const options = { ...dialOptions, upgrader: seen }
        // The library gives all its options to the socket, which then fails of the signal by itself when nobody
        // listens to it any more: an error that ends the process. So it is there to be read, and not to be copied.
        Object.defineProperty(options, 'signal', { value: signal, enumerable: false })
        return dial(address, options)
      }
      try {
        return await by(upgrader)
      } catch (error) {
        const failed = dialled?.tlsFailed
        if (failed === undefined || failed.name === 'UnexpectedPeerError') throw error
        signal.throwIfAborted()
        log('no TLS with %a, Noise instead - %e', address, failed)
        return by(withoutTls(upgrader))
      }
    }
    return transport
  }
}

/** Returns the upgrader, with a look at each connection before it is secured. */
function seeing(
  upgrader: Upgrader,
  signal: AbortSignal,
  see: (connection: SocketConnection) => void,
): Upgrader {
  const { upgradeOutbound } = upgrader
  return {
    upgradeOutbound: (connection: MultiaddrConnection, options: object) => {
      see(connection as unknown as SocketConnection)
      return upgradeOutbound.call(upgrader, connection, { ...options, signal } as never)
    },
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
  } as Upgrader
}

/** Returns the upgrader as if TLS were unknown; the library's looks nowhere else for what to offer (libp2p 3.3.11). */
function withoutTls(upgrader: Upgrader): Upgrader {
  const encrypters = new Map(upgrader.getConnectionEncrypters())
  encrypters.delete(tlsProtocol)
  return Object.create(upgrader, { connectionEncrypters: { value: encrypters } })
}
