/**
 * A page with js-libp2p and its WebTransport, nothing else. What it is to do is in the fragment of its address:
 *
 *   #{"dial":"/ip4/…/webtransport/certhash/…/p2p/…","cat":"<cid>"}
 *
 * Each result is the text of an element of its own. Before the last step it waits until `/rolled` is answered.
 */

import { noise } from '@chainsafe/libp2p-noise'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { type Identify, identify } from '@libp2p/identify'
import type { Connection, IdentifyResult, Libp2p, Stream } from '@libp2p/interface'
import { webTransport } from '@libp2p/webtransport'
import { multiaddr } from '@multiformats/multiaddr'
import { sha256 } from '@noble/hashes/sha2.js'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const pingProtocol = '/ipfs/ping/1.0.0'
const plan = JSON.parse(decodeURIComponent(location.hash.slice(1))) as { dial: string; cat: string }

type Node = Libp2p<{ identify: Identify }>

async function makeNode(): Promise<{ libp2p: Node; cat(cid: string): AsyncIterable<Uint8Array> }> {
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight(), {
      addresses: { listen: [] },
      transports: [webTransport()],
      connectionEncrypters: [noise()],
      // A page dials public names only, unless it is told that this is what is wanted.
      connectionGater: { denyDialMultiaddr: () => false },
      services: { identify: identify() },
    }),
  )
  await helia.start()
  const files = unixfs(helia)
  return {
    libp2p: helia.libp2p as unknown as Node,
    cat: (cid) => files.cat(CID.parse(cid), { signal: AbortSignal.timeout(180_000) }),
  }
}

function show(id: string, result: unknown): void {
  const element = document.createElement('pre')
  element.id = id
  element.textContent = JSON.stringify(result)
  document.body.append(element)
}

/** A ping: sends 32 bytes on a stream of its own, ends its side, returns how many came back until the other side ended. */
async function halfClosed(connection: Connection): Promise<number> {
  const stream: Stream = await connection.newStream(pingProtocol, { maxOutboundStreams: 1_000 })
  let bytes = 0
  const reading = (async () => {
    for await (const piece of stream) bytes += piece.byteLength
  })()
  stream.send(crypto.getRandomValues(new Uint8Array(32)))
  await stream.close()
  await reading
  return bytes
}

async function run(): Promise<void> {
  const { libp2p, cat } = await makeNode()
  const address = multiaddr(plan.dial)
  const identified = new Promise<IdentifyResult>((resolve) => {
    libp2p.addEventListener('peer:identify', ({ detail }) => resolve(detail), { once: true })
  })
  const connection = await libp2p.dial(address, { signal: AbortSignal.timeout(20_000) })
  const { agentVersion, listenAddrs, protocols } = await identified
  show('identified', { agentVersion, listenAddrs: listenAddrs.map(String), protocols })
  show('ping', await halfClosed(connection))

  const began = performance.now()
  const hash = sha256.create()
  let bytes = 0
  for await (const piece of cat(plan.cat)) {
    hash.update(piece)
    bytes += piece.length
  }
  const hex = [...hash.digest()].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  show('fetched', { bytes, sha256: hex, ms: performance.now() - began })

  let answered = 0
  for (let lot = 0; lot < 100; lot++) {
    const streams = await Promise.all(Array.from({ length: 4 }, () => halfClosed(connection)))
    answered += streams.filter((count) => count === 32).length
  }
  show('streams', { answered, open: connection.streams.length })

  await fetch('/rolled')
  const after = { status: connection.status, bytes: await halfClosed(connection) }
  // The address is the one of before: the certificate that it leads to now is the next one then.
  const other = await makeNode()
  const redialled = await other.libp2p.dial(address, { signal: AbortSignal.timeout(20_000) })
  const again = await libp2p.services.identify.identify(connection)
  show('rolled', {
    ...after,
    redialled: redialled.status,
    connections: libp2p.getConnections().length,
    listenAddrs: again.listenAddrs.map(String),
  })
}

run().catch((error: unknown) => {
  console.error(error)
  show('failed', String(error instanceof Error ? error.stack : error))
})
