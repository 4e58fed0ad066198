import { afterEach } from 'bun:test'
import { createSocket } from 'node:dgram'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noise } from '@chainsafe/libp2p-noise'
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { base64url } from 'multiformats/bases/base64'
import { WebTransport } from 'rwebtransport'
import { Gate } from '#src/p2p/door/gater.ts'
import { loadAddon, type Rwebtransport } from '#src/p2p/webtransport/addon.ts'
import type { WebTransportListener, WebTransportOptions } from '#src/p2p/webtransport/listener.ts'
import { webTransportDoor } from '#src/p2p/webtransport/transport.ts'
import type { RefusalReason } from '#src/relay/counters.ts'
import { webTransportClient } from '#test/support/web-transport-client.ts'

const clientTransport = await webTransportClient()
export const sessionPath = '/.well-known/libp2p-webtransport?type=noise'

const stops: Array<() => unknown> = []
/** Has it done after the test. */
export function whenDone(stop: () => unknown): void {
  stops.push(stop)
}

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

export interface Door {
  readonly node: Libp2p
  readonly gate: Gate
  readonly refusals: RefusalReason[]
  readonly listener: WebTransportListener
  readonly listeners: readonly WebTransportListener[]
  readonly warnings: string[]
  readonly dataDir: string
  /** Moves the clock of the certificates. */
  pass(ms: number): void
  address(): string
  port(): number
}

export async function door(
  options: WebTransportOptions & {
    maxConnections?: number
    perAddress?: number
    listen?: string | readonly string[]
    behindMs?: number
    /** Stands between the door and the addon. */
    spy?: (addon: Rwebtransport) => Rwebtransport
  } = {},
): Promise<Door> {
  const {
    maxConnections = 1_000,
    perAddress = 1_000,
    listen = '/ip4/127.0.0.1/udp/0',
    behindMs = 0,
    spy = (addon) => addon,
    ...rest
  } = options
  const dataDir = await mkdtemp(join(tmpdir(), 'kitsune-wt-'))
  stops.push(() => rm(dataDir, { recursive: true, force: true }))
  const refusals: RefusalReason[] = []
  const gate = new Gate(
    { refused: (reason) => refusals.push(reason) },
    { maxConnections, maxConnectionsPerAddress: perAddress },
  )
  const warnings: string[] = []
  let passedMs = behindMs
  const listeners: WebTransportListener[] = []
  const made = await webTransportDoor(
    {
      gate,
      dataDir,
      warn: (message, facts) => warnings.push(`${message} ${JSON.stringify(facts)}`),
      now: () => Date.now() + passedMs,
    },
    { lookEveryMs: 20, ...rest },
    async () => spy(await loadAddon()),
  )
  const node = (await createLibp2p({
    addresses: { listen: [listen].flat().map((address) => `${address}/quic-v1/webtransport`) },
    transports: [
      (components) => {
        const transport = made(components)
        const createListener: typeof transport.createListener = (init) => {
          const listener = transport.createListener(init) as WebTransportListener
          listeners.push(listener)
          return listener
        }
        return { ...transport, createListener } as typeof transport
      },
    ],
    connectionGater: gate.connectionGater(),
    connectionMonitor: { enabled: false },
    connectionManager: { inboundConnectionThreshold: 1e9, maxIncomingPendingConnections: 1e9 },
  })) as unknown as Libp2p
  stops.push(() => node.stop())
  await node.handle('/echo/1', echo, { maxInboundStreams: 1_000 })
  const address = (): string => node.getMultiaddrs().map(String)[0] ?? ''
  return {
    node,
    gate,
    refusals,
    listeners,
    get listener() {
      return listeners[0] as WebTransportListener
    },
    warnings,
    dataDir,
    pass: (ms) => {
      passedMs += ms
    },
    address,
    port: () => Number(/\/udp\/(\d+)/.exec(address())?.[1]),
  }
}

export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => void socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => void socket.close(resolve))
  return port
}

async function echo(stream: Stream): Promise<void> {
  for await (const bytes of stream) if (!stream.send(bytes)) await stream.onDrain()
  await stream.close()
}

export async function client(): Promise<Libp2p> {
  const node = await createLibp2p({
    transports: [clientTransport],
    connectionEncrypters: [noise()],
    connectionMonitor: { enabled: false },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  stops.push(() => node.stop())
  return node as unknown as Libp2p
}

export async function echoed(node: Libp2p, address: string, bytes: Uint8Array): Promise<Buffer> {
  const connection = await node.dial(multiaddr(address))
  const stream = await connection.newStream('/echo/1')
  const back: Uint8Array[] = []
  const reading = (async () => {
    for await (const piece of stream) back.push(piece.subarray())
  })()
  for (let at = 0; at < bytes.length; at += 65_536) stream.send(bytes.subarray(at, at + 65_536))
  await stream.close()
  await reading
  return Buffer.concat(back)
}

/** A session without libp2p on it, with a server that has one of the certificates of the address. */
export async function rawSession(
  { address, port }: Door,
  path = sessionPath,
  trusted = address(),
): Promise<WebTransport> {
  const hashes = [...trusted.matchAll(/\/certhash\/([^/]+)/g)].map(([, text = '']) => base64url.decode(text))
  const host = address().startsWith('/ip6') ? '[::1]' : '127.0.0.1'
  const session = new WebTransport(`https://${host}:${port()}${path}`, {
    serverCertificateHashes: hashes.map((hash) => ({ algorithm: 'sha-256', value: hash.slice(2) })),
  })
  session.closed.catch(() => {})
  stops.push(() => session.close())
  await session.ready
  return session
}

export const opens = (it: Door, trusted: string): Promise<boolean> =>
  rawSession(it, sessionPath, trusted).then(
    () => true,
    () => false,
  )

export const ended = (session: WebTransport): Promise<void> => session.closed.then(() => {}).catch(() => {})
