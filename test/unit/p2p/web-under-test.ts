import { connect, type Socket } from 'node:net'
import { yamux } from '@chainsafe/libp2p-yamux'
import { createLibp2p } from 'libp2p'
import { trustIn } from '#src/p2p/door/client-address.ts'
import { Gate, type GateOptions } from '#src/p2p/door/gater.ts'
import { nativeNoise } from '#src/p2p/noise/noise.ts'
import type { HttpDoorOptions, RequestHandler } from '#src/p2p/web/http-door.ts'
import { webDoor } from '#src/p2p/web/web-listener.ts'
import type { RefusalReason } from '#src/relay/counters.ts'

export interface WebUnderTest {
  readonly gate: Gate
  readonly refusals: RefusalReason[]
  readonly port: number
  stop(): Promise<void>
}

/** Starts a web listener on loopback, with deadlines of the test's own. */
export async function startWeb(
  handleRequest: RequestHandler,
  options: HttpDoorOptions & { limits?: Partial<GateOptions>; trusted?: readonly string[] } = {},
): Promise<WebUnderTest> {
  const { limits, trusted = [], ...webOptions } = options
  const refusals: RefusalReason[] = []
  const gate = new Gate(
    { refused: (reason) => refusals.push(reason) },
    { maxConnections: 100, maxConnectionsPerAddress: 100, ...limits },
  )
  const node = await createLibp2p({
    addresses: { listen: [`/ip4/127.0.0.1/tcp/0${webOptions.tls ? '/tls/ws' : '/ws'}`] },
    transports: [webDoor({ gate, trusts: trustIn(trusted), handleRequest }, webOptions)],
    connectionEncrypters: [nativeNoise().encrypter],
    streamMuxers: [yamux()],
    connectionManager: { inboundUpgradeTimeout: 200 },
  })
  const port = Number(node.getMultiaddrs()[0]?.getComponents()[1]?.value)
  return { gate, refusals, port, stop: async () => node.stop() }
}

/** A raw socket to a port; `closed` settles when the other side is done with it. */
export interface RawSocket {
  readonly socket: Socket
  readonly closed: Promise<unknown>
  received(): string
  stop(): void
}

/** Opens one from an address of this machine. */
export function rawSocket(port: number, localAddress = '127.0.0.1'): RawSocket {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
  })
  socket.on('error', () => {})
  return {
    socket,
    closed: new Promise((resolve) => socket.once('close', resolve)),
    received: () => text,
    stop: () => socket.destroy(),
  }
}

/** A request for an upgrade, with more header lines. */
export function upgradeRequest(...lines: string[]): string {
  return [
    'GET / HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...lines,
    '\r\n',
  ].join('\r\n')
}
