/**
 * Makes a host's peer store forget everyone but the host. The library writes down each peer again with each of
 * its streams, also after it has left, at a tenth of a millisecond a time; here no trace of a client outlives its
 * last connection because none is ever made.
 */

import type { Peer, PeerId, PeerStore } from '@libp2p/interface'

/** Keeps what `peerStore` learns of `self`, and lets what it learns of others fall. */
export function forgetOthers(peerStore: PeerStore, self: PeerId): void {
  for (const method of ['save', 'patch', 'merge'] as const) {
    const write = peerStore[method].bind(peerStore)
    peerStore[method] = async (peer, data, options) =>
      peer.equals(self) ? write(peer, data, options) : nothingOf(peer)
  }
}

function nothingOf(id: PeerId): Peer {
  return { id, addresses: [], protocols: [], metadata: new Map(), tags: new Map() }
}
