/**
 * A Bitswap client that does what it is told, misbehaviour included, and remembers all it was sent.
 */
import { createHash } from 'node:crypto'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { Message } from '#src/bitswap/message.ts'
import { joined } from '#src/util/pieces.ts'
import { type BitswapHostOptions, startBitswapHost, writeAll } from '#test/support/bitswap-host.ts'
import { type RawMessage, type RawWant, rawFrame } from '#test/support/raw-message.ts'
import { Watchers } from '#test/support/watchers.ts'

/** All that came, by the CID it was for. */
export interface Received {
  /** Blocks by the CID that their prefix and bytes make; bare blocks as CIDv0. */
  readonly blocks: Map<string, Uint8Array>
  readonly haves: Set<string>
  readonly dontHaves: Set<string>
  messages: number
  /** Wants sent to us: an edge has none. */
  wants: number
  bytes: number
  /** Protocols of the streams on which something came. */
  readonly protocols: Set<string>
}

/** A connected client. */
export interface RawClient {
  readonly node: Libp2p
  readonly connection: Connection
  readonly received: Received
  /** Sends on one long stream. */
  send(message: RawMessage): Promise<void>
  /** Wants blocks (or their presence) by CID. */
  want(cids: readonly CID[], how?: Omit<RawWant, 'cid'>): Promise<void>
  /** Opens a stream of its own. */
  open(protocol?: string | string[]): Promise<Stream>
  /** Resolves once `holds`; rejects after `timeoutMs` with what came. */
  until(holds: (received: Received) => boolean, timeoutMs?: number): Promise<void>
  stop(): Promise<void>
}

/** Connects a client. */
export async function startRawClient(
  address: string,
  options: Omit<BitswapHostOptions, 'receive'> = {},
): Promise<RawClient> {
  const received: Received = {
    blocks: new Map(),
    haves: new Set(),
    dontHaves: new Set(),
    messages: 0,
    wants: 0,
    bytes: 0,
    protocols: new Set(),
  }
  const watchers = new Watchers()
  const node = await startBitswapHost({
    ...options,
    receive: (message, _connection, stream) => {
      received.protocols.add(stream.protocol)
      book(received, message)
      watchers.tell()
    },
  })
  const connection = await node.dial(multiaddr(address), { signal: AbortSignal.timeout(20_000) })
  const offered = [...(options.protocols ?? ['/ipfs/bitswap/1.2.0'])]
  const open = (protocol: string | string[] = offered): Promise<Stream> =>
    connection.newStream(protocol, { maxOutboundStreams: 4096, signal: AbortSignal.timeout(20_000) })
  let long: Stream | undefined
  const send = async (message: RawMessage): Promise<void> => {
    if (long?.status !== 'open') long = await open()
    await writeAll(long, rawFrame(message))
  }
  return {
    node,
    connection,
    received,
    open,
    send,
    want: (cids, how = {}) => send({ wants: cids.map((cid) => ({ cid: cid.bytes, ...how })) }),
    until: (holds, timeoutMs = 10_000) =>
      watchers.until(
        () => holds(received),
        timeoutMs,
        () => `${holds}; came: ${brief(received)}`,
      ),
    stop: async () => void (await node.stop()),
  }
}

function book(received: Received, message: Message): void {
  received.messages++
  received.wants += message.wants.length
  for (const { prefix, bytes: body } of message.blocks) {
    const bytes = joined(body)
    received.bytes += bytes.length
    const hash = createDigest(0x12, new Uint8Array(createHash('sha256').update(bytes).digest()))
    const cid = prefix === undefined ? CID.createV0(hash) : CID.create(...versionAndCodec(prefix), hash)
    received.blocks.set(cid.toString(), bytes.slice())
  }
  for (const { cid, have } of message.presences) {
    const set = have ? received.haves : received.dontHaves
    set.add(CID.decode(cid).toString())
  }
}

/** One-byte codecs and sha2-256 are all that tests use. */
function versionAndCodec(prefix: Uint8Array): [0 | 1, number] {
  const [version = -1, codec = -1, hash, length] = prefix
  if (prefix.length !== 4 || hash !== 0x12 || length !== 32) throw new Error(`prefix ${prefix.toString()}`)
  return [version === 0 ? 0 : 1, codec]
}

function brief({ blocks, haves, dontHaves, messages }: Received): string {
  return `${blocks.size} blocks, ${haves.size} HAVE, ${dontHaves.size} DONT_HAVE in ${messages} messages`
}
