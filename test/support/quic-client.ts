/**
 * QUIC clients below libp2p: the addon's own, which read and write only when they are told to, and a relay that loses
 * what it is told to lose.
 */
import { createSocket } from 'node:dgram'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { loadAddon } from '#src/p2p/quic/addon.ts'
import type { NativeConfig, NativeConnection } from '#src/p2p/quic/native.ts'

interface NativeClient {
  outboundConnection(ip: string, port: number): Promise<NativeConnection>
  abort(): void
}

interface NativeDialler {
  readonly QuinnConfig: new (config: NativeConfig) => object
  readonly Client: new (config: object, family: 0 | 1) => NativeClient
}

/** Clients of one identity, on one socket. */
export interface QuicDialler {
  /** Resolves after the handshake. */
  dial(port: number): Promise<NativeConnection>
  stop(): void
}

/** Makes one; `windowBytes` is what it lets the other side send on a stream and in all. */
export async function startQuicDialler(windowBytes = 1024 * 1024, idleMs = 20_000): Promise<QuicDialler> {
  const { QuinnConfig, Client } = (await loadAddon()) as NativeDialler
  const config = new QuinnConfig({
    privateKeyProto: privateKeyToProtobuf(await generateKeyPair('Ed25519')),
    handshakeTimeout: idleMs,
    maxIdleTimeout: idleMs,
    keepAliveInterval: idleMs / 4,
    maxConcurrentStreamLimit: 1_024,
    maxStreamData: windowBytes,
    maxConnectionData: windowBytes,
    receiveBufferSize: 1024 * 1024,
    sendBufferSize: 1024 * 1024,
  })
  const client = new Client(config, 0)
  return { dial: (port) => client.outboundConnection('127.0.0.1', port), stop: () => client.abort() }
}

/** A relay on loopback that lets pass what a handshake begins with and nothing else: it is never finished. */
export interface HalfOpenRelay {
  readonly port: number
  /** Handshakes that the other side answered. */
  readonly answered: number
  stop(): void
}

/** Starts one in front of `port`; the first packet of each connection passes, and no answer comes back. */
export async function startHalfOpenRelay(port: number): Promise<HalfOpenRelay> {
  const outer = createSocket('udp4')
  const inner = createSocket('udp4')
  const seen = new Set<string>()
  const answered = new Set<string>()
  outer.on('message', (bytes) => {
    const id = connectionIds(bytes)
    if (id === undefined || seen.has(id.destination)) return
    seen.add(id.destination)
    inner.send(bytes, port, '127.0.0.1')
  })
  inner.on('message', (bytes) => {
    const id = connectionIds(bytes)
    if (id !== undefined) answered.add(id.destination)
  })
  await new Promise<void>((resolve) => outer.bind(0, '127.0.0.1', resolve))
  return {
    port: outer.address().port,
    get answered() {
      return answered.size
    },
    stop() {
      outer.close()
      inner.close()
    },
  }
}

/** The destination of a packet with a long header (RFC 9000, 17.2). */
function connectionIds(bytes: Buffer): { readonly destination: string } | undefined {
  const length = bytes[5]
  if (length === undefined || ((bytes[0] ?? 0) & 0x80) === 0) return undefined
  return { destination: bytes.subarray(6, 6 + length).toString('hex') }
}
