import { expect, test } from 'bun:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { type Connection, UnsupportedProtocolError } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { Front } from '#src/p2p/front.ts'
import type { Link } from '#src/relay/ports.ts'
import type { Relay } from '#src/relay/relay.ts'

/** A client that is wanted something of and never spoke Bitswap itself; `refusal` is why no stream can be opened to it. */
async function wantOf(refusal: Error) {
  const remotePeer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  const settled = Promise.withResolvers<'aborted' | 'left alone'>()
  const connection = {
    remotePeer,
    remoteAddr: multiaddr('/ip4/192.0.2.1/tcp/4001'),
    status: 'open',
    newStream: () => Promise.reject(refusal),
    abort: () => settled.resolve('aborted'),
  } as unknown as Connection
  const events = new EventTarget()
  const node = Object.assign(events, {
    handle: async () => {},
    getConnections: () => [connection],
  }) as unknown as Libp2p
  const relay = {
    expects: () => true,
    connectClient: (link: Link) => {
      link.wake()
      return { at() {}, take: () => undefined, close: () => settled.resolve('left alone') }
    },
  } as unknown as Relay
  const front = new Front(node, relay)
  await front.start()
  events.dispatchEvent(new CustomEvent('connection:open', { detail: connection }))
  const outcome = await settled.promise
  await front.stop()
  return outcome
}

test('a client that says that it has no Bitswap keeps its connection', async () => {
  expect(await wantOf(new UnsupportedProtocolError())).toBe('left alone')
})

test('a client that does not answer loses it, so that it comes back when it wakes up', async () => {
  expect(await wantOf(new DOMException('over', 'TimeoutError'))).toBe('aborted')
})
