/**
 * quinn (QUIC in Rust, TLS as libp2p specifies it) as its addon offers it, so far as it is used here
 * (@chainsafe/libp2p-quic 2.1.1, whose own types say `any`). Every promise is a task on the addon's own threads.
 */

import { loadAddon } from '#src/p2p/quic/addon.ts'

export interface NativeStream {
  id(): string
  /** Up to `maxBytes`, or null at the end; rejects when the peer resets it or the connection is lost. */
  read(maxBytes: number): Promise<Uint8Array | null>
  /**
   * Resolves when all of it is in quinn's buffer, which the peer's window bounds. The bytes must stay as they are until
   * then, and one write must end before the next begins: two at once may change places.
   */
  write(bytes: Uint8Array): Promise<void>
  finishWrite(): Promise<void>
  /** Waits for a write under way. */
  resetWrite(): Promise<void>
  /** Waits for a read under way. */
  stopRead(): Promise<void>
}

export interface NativeConnection {
  id(): string
  /** `/ip4/…/udp/…/quic-v1/p2p/…`; the peer proved that ID by its certificate. */
  remoteMultiaddr(): string
  inboundStream(): Promise<NativeStream>
  /** Waits until the peer allows one more. */
  outboundStream(): Promise<NativeStream>
  /** Resolves when it is lost or closed, whoever did it. */
  closed(): Promise<void>
  abort(): void
}

export interface NativeServer {
  port(): number
  /** The next one after its handshake; rejects when that fails, and for ever when the server is closed. */
  inboundConnection(): Promise<NativeConnection>
  /** Ends all its connections and lets go of the port. */
  abort(): Promise<void>
  stats(): { readonly acceptedHandshakes: number }
}

/** Times in ms, sizes in bytes; all of them must be given. */
export interface NativeConfig {
  readonly privateKeyProto: Uint8Array
  /** Not looked at: a handshake ends by `maxIdleTimeout`. */
  readonly handshakeTimeout: number
  readonly maxIdleTimeout: number
  readonly keepAliveInterval: number
  readonly maxConcurrentStreamLimit: number
  readonly maxStreamData: number
  readonly maxConnectionData: number
  /** Buffers of sockets that dial; a listener has the system's. */
  readonly receiveBufferSize: number
  readonly sendBufferSize: number
}

export interface NativeQuic {
  readonly QuinnConfig: new (config: NativeConfig) => object
  readonly Server: new (config: object, ip: string, port: number) => NativeServer
}

/** Loads it; rejects with the reason where that cannot be. */
export async function loadQuic(): Promise<NativeQuic> {
  const addon = (await loadAddon()) as Partial<NativeQuic>
  if (addon.QuinnConfig === undefined || addon.Server === undefined)
    throw new Error('the QUIC addon is not whole')
  return addon as NativeQuic
}
