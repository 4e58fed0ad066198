/**
 * A libp2p host that offers TLS and Noise, as Kubo and most libp2p hosts do. The library's own TLS listens on no
 * runtime of ours, so the server's half is made of the library's parts here.
 */
import { TLSSocket } from 'node:tls'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { MessageStream, PrivateKey, SecuredConnection, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import { nativeNoise } from '#src/p2p/noise/noise.ts'
import 'reflect-metadata'
import { generateCertificate, toMessageStream, toNodeDuplex, verifyPeerCertificate } from '@libp2p/tls/utils'

/** How the server's half of TLS goes. */
export type Handshake = (stream: MessageStream, identity: PrivateKey) => Promise<SecuredConnection>

/** As it should. */
export const wellShaken: Handshake = async (stream, identity) => {
  const certificate = await generateCertificate(identity)
  const duplex = toNodeDuplex(stream)
  const socket = new TLSSocket(duplex, {
    ...certificate,
    isServer: true,
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['/yamux/1.0.0', 'libp2p'],
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('secure', resolve)
  socket.on('error', reject)
  duplex.on('error', reject)
  await promise
  const remotePeer = await verifyPeerCertificate(socket.getPeerCertificate().raw)
  return { connection: toMessageStream(stream, socket), remotePeer, streamMuxer: yamux()() }
}

export interface TlsHost {
  readonly node: Libp2p
  /** Handshakes that were begun. */
  readonly begun: () => number
}

/** Starts a host on loopback whose `/echo/1` sends back what it gets. */
export async function startTlsHost(handshake: Handshake): Promise<TlsHost> {
  const privateKey = await generateKeyPair('Ed25519')
  let begun = 0
  const node = await createLibp2p({
    privateKey,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [
      () => ({
        protocol: '/tls/1.0.0',
        secureInbound: (stream) => {
          begun++
          return handshake(stream, privateKey)
        },
        secureOutbound: () => Promise.reject(new Error('it only listens')),
      }),
      nativeNoise().encrypter,
    ],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  })
  await node.handle('/echo/1', async (stream: Stream) => {
    for await (const bytes of stream) if (!stream.send(bytes)) await stream.onDrain()
    await stream.close()
  })
  return { node: node as unknown as Libp2p, begun: () => begun }
}
