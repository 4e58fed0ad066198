import { withBitswap } from '@helia/bitswap'
import { unixfs } from '@helia/unixfs'
import * as dagPb from '@ipld/dag-pb'
import { identify } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { ping } from '@libp2p/ping'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight, type Helia } from 'helia'
import { createLibp2p, type Libp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { chunksOf, type DemoFile } from '#src/demo/content.ts'
import { yamux } from '#src/mux/yamux.ts'
import { nativeNoise } from '#src/p2p/noise/noise.ts'
import { quickTcp } from '#src/p2p/tcp/tcp.ts'

/**
 * An IPFS node in this process: Helia on a host of our own, in memory. It knows Bitswap and nothing else: no
 * DHT, no bootstrap, no gateways, no router, so it can reach whom it dials and who dials it, on loopback only.
 * Memory: the content it was given, and what it fetched.
 */

export interface IpfsNode {
  readonly peerId: string
  /** The multiaddr to dial, with its peer ID; undefined for a node that only dials. */
  readonly address: string | undefined
  /** Keeps a file; returns its CID. */
  add(file: DemoFile): Promise<string>
  /** Connects to a peer; resolves once Bitswap can use it. */
  connect(address: string, signal: AbortSignal): Promise<void>
  /** Yields the content of a file, fetching by Bitswap what is not here. */
  fetch(cid: string, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Yields the CIDs under a root, depth first, fetching by Bitswap what is not here. */
  refs(cid: string, signal: AbortSignal): AsyncIterable<string>
  /** Peer IDs of all that it is connected to, each once. */
  readonly peers: readonly string[]
  stop(): Promise<void>
}

/** All connections of the demo come from this one machine; the library's 5 per second are for strangers. */
const connectionsPerSecond = 100

const mebibyte = 1024 * 1024
const muxing = {
  maxStreams: 1_024,
  maxEarlyStreams: 10,
  firstWindow: 256 * 1024,
  largestWindow: 2 * mebibyte,
  maxGrowthBytes: 16 * mebibyte,
  maxUnreadBytes: 16 * mebibyte,
}

/** Starts a node; one that does not `listen` is a client. */
export async function startIpfsNode(options: { listen: boolean }): Promise<IpfsNode> {
  const host = await createLibp2p({
    addresses: { listen: options.listen ? ['/ip4/127.0.0.1/tcp/0'] : [] },
    transports: [quickTcp({})],
    // The library's own default breaks on Bun.
    connectionEncrypters: [nativeNoise().encrypter],
    streamMuxers: [yamux(muxing), mplex()],
    connectionManager: { inboundConnectionThreshold: connectionsPerSecond },
    services: { identify: identify(), ping: ping() },
  })
  const helia = withBitswap(Object.assign(createHeliaLight(), { libp2p: host }))
  await helia.start()
  const files = unixfs(helia)
  return {
    peerId: host.peerId.toString(),
    address: host.getMultiaddrs()[0]?.toString(),
    add: async (file) =>
      (await files.addByteStream(chunksOf(file), { chunker: (chunks) => chunks })).toString(),
    connect: (address, signal) => connect(host, address, signal),
    fetch: (cid, signal) => files.cat(CID.parse(cid), { signal }),
    refs: (cid, signal) => listLinks(helia.blockstore, CID.parse(cid), signal),
    get peers() {
      return host.getPeers().map((peer) => peer.toString())
    },
    stop: async () => {
      await helia.stop()
      await host.stop()
    },
  }
}

/** Lists the links under a block of UnixFS, and so fetches all of it. */
async function* listLinks(
  blocks: Helia['blockstore'],
  cid: CID,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const chunks: Uint8Array[] = []
  for await (const chunk of blocks.get(cid, { signal })) chunks.push(chunk)
  if (cid.code !== dagPb.code) return
  for (const { Hash } of dagPb.decode(Buffer.concat(chunks)).Links) {
    yield Hash.toString()
    yield* listLinks(blocks, Hash, signal)
  }
}

/**
 * A dial resolves before the protocols of the peer are known. A want that Helia sends in between can be answered
 * before Helia listens for the answer, so that is waited for.
 */
async function connect(host: Libp2p, address: string, signal: AbortSignal): Promise<void> {
  const identified = Promise.withResolvers<void>()
  const known = () => identified.resolve()
  const aborted = () => identified.reject(signal.reason)
  host.addEventListener('peer:identify', known, { once: true })
  signal.addEventListener('abort', aborted, { once: true })
  try {
    await Promise.all([host.dial(multiaddr(address), { signal }), identified.promise])
  } finally {
    host.removeEventListener('peer:identify', known)
    signal.removeEventListener('abort', aborted)
  }
}
