import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Stream, StreamMuxerFactory } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { doorsOf } from '#src/config/listen.ts'
import { Gate, type GateOptions } from '#src/p2p/door/gater.ts'
import { createFrontHost, type FrontHost, type FrontHostOptions } from '#src/p2p/host.ts'
import { nativeNoise } from '#src/p2p/noise/noise.ts'
import type { RefusalReason } from '#src/relay/counters.ts'

export interface FrontUnderTest {
  readonly front: FrontHost
  readonly gate: Gate
  readonly refusals: RefusalReason[]
  readonly tcp: Multiaddr
  readonly ws: Multiaddr
  /** `http://127.0.0.1:<port of ws>` */
  readonly origin: string
  readonly port: number
  stop(): Promise<void>
}

/** Starts a front on loopback that answers `/echo/1` with what it gets. */
export async function startFront(
  options: Partial<Omit<FrontHostOptions, 'listen'>> & {
    listen?: readonly string[]
    limits?: Partial<GateOptions>
  } = {},
): Promise<FrontUnderTest> {
  const { limits, listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'], ...hostOptions } = options
  const refusals: RefusalReason[] = []
  const gate = new Gate(
    { refused: (reason) => refusals.push(reason) },
    { maxConnections: 100, maxConnectionsPerAddress: 100, ...limits },
  )
  const front = await createFrontHost({
    privateKey: await generateKeyPair('Ed25519'),
    version: '1.2.3',
    listen: doorsOf(listen, []),
    announce: [],
    gate,
    handleRequest: (request, facts) =>
      new Response(`${new URL(request.url).pathname} for ${facts.remoteAddress}`),
    ...hostOptions,
  })
  await front.node.handle('/echo/1', echo, { maxInboundStreams: 1_000 })
  await front.open()
  const [tcpAddress, ws] = front.listening() as [Multiaddr, Multiaddr]
  const port = Number(ws.getComponents()[1]?.value)
  const origin = `http://127.0.0.1:${port}`
  return { front, gate, refusals, tcp: tcpAddress, ws, origin, port, stop: async () => front.node.stop() }
}

async function echo(stream: Stream): Promise<void> {
  for await (const bytes of stream) {
    if (!stream.send(bytes)) await stream.onDrain()
  }
  await stream.close()
}

/** Starts a client as one from the field: either transport, the given muxer alone. */
export async function startClient(muxer: () => StreamMuxerFactory = yamux()): Promise<Libp2p> {
  const node = await createLibp2p({
    transports: [tcp(), webSockets()],
    connectionEncrypters: [nativeNoise().encrypter],
    streamMuxers: [muxer],
    connectionMonitor: { enabled: false },
    services: { identify: identify({ runOnConnectionOpen: false }) },
  })
  return node as unknown as Libp2p
}

/** Sends `bytes` to the front's echo and returns what comes back. */
export async function echoed(client: Libp2p, address: Multiaddr, bytes: Uint8Array): Promise<Buffer> {
  const connection = await client.dial(address)
  const stream = await connection.newStream('/echo/1', { maxOutboundStreams: 1_000 })
  const back: Uint8Array[] = []
  const reading = (async () => {
    for await (const piece of stream) back.push(piece.subarray())
  })()
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!stream.send(bytes.subarray(at, at + 65_536))) await stream.onDrain()
  }
  await stream.close()
  await reading
  return Buffer.concat(back)
}

/** Waits until `holds` does, looking at it after each turn of the event loop; fails after `deadlineMs`. */
export async function until(holds: () => boolean, deadlineMs = 5_000): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`did not come true in ${deadlineMs} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
