/**
 * A Helia node in this process that knows nobody but whom it is told to dial: the client of today's browsers.
 */
import { createHash } from 'node:crypto'
import { yamux } from '@chainsafe/libp2p-yamux'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'
import { nativeNoise } from '#src/p2p/noise/noise.ts'

/** What was read. */
export interface HeliaContent {
  readonly bytes: number
  readonly sha256: string
}

/** A running node. */
export interface HeliaPeer {
  readonly peerId: string
  connect(address: string): Promise<void>
  /** Reads a UnixFS file to its end. */
  cat(cid: string, timeoutMs?: number): Promise<HeliaContent>
  stop(): Promise<void>
}

/** Starts a node with blocks in memory. */
export async function startHelia(): Promise<HeliaPeer> {
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight(), {
      addresses: { listen: [] },
      transports: [tcp(), webSockets()],
      connectionEncrypters: [nativeNoise().encrypter],
      streamMuxers: [yamux(), mplex()],
      connectionMonitor: { enabled: false },
      connectionGater: { denyDialMultiaddr: () => false },
      services: { identify: identify() },
    }),
  )
  await helia.start()
  const files = unixfs(helia)
  return {
    peerId: helia.libp2p.peerId.toString(),
    async connect(address) {
      await helia.libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(20_000) })
    },
    async cat(cid, timeoutMs = 60_000) {
      const hash = createHash('sha256')
      let bytes = 0
      for await (const chunk of files.cat(CID.parse(cid), { signal: AbortSignal.timeout(timeoutMs) })) {
        hash.update(chunk)
        bytes += chunk.length
      }
      return { bytes, sha256: hash.digest('hex') }
    },
    stop: async () => void (await helia.stop()),
  }
}
