/**
 * From a client's first STUN request to a connection whose peer is known, as libp2p's WebRTC-direct has it
 * (specs/webrtc): no SDP is exchanged, both sides make it up from the address and from the credentials in the request;
 * our certificate is pinned by its hash in our address, and Noise on channel 0 binds the peer's key to both.
 *
 * Keeps nothing; what `signal` ends is closed.
 */

import { isIPv4 } from 'node:net'
import type { ComponentLogger, PeerId, PrivateKey, Upgrader } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { create } from 'multiformats/hashes/digest'
import { webRtcNoise } from '#src/p2p/noise/noise.ts'
import { maxMessageBytes } from '#src/p2p/webrtc/frames.ts'
import type { NativePeer, NativeWebRtc, StunRequest } from '#src/p2p/webrtc/native.ts'
import { WebRtcConnection } from '#src/p2p/webrtc/webrtc-connection.ts'
import { asError } from '#src/util/errors.ts'

export interface HandshakeDeps {
  readonly webrtc: NativeWebRtc
  readonly certificate: {
    /** Both in PEM. */
    readonly certificate: string
    readonly key: string
    /** The multihash of the certificate. */
    readonly hash: Uint8Array
  }
  readonly upgrader: Upgrader
  readonly peerId: PeerId
  readonly privateKey: PrivateKey
  readonly logger: ComponentLogger
}

/** Returns what a connection on the socket that is bound to `port` comes of; nothing has been sent yet. */
export function createPeer({ webrtc, certificate }: HandshakeDeps, port: number): NativePeer {
  return new webrtc.PeerConnection('client', {
    // Nobody is asked for our address: the client has it.
    iceServers: [],
    enableIceUdpMux: true,
    // How it finds the socket.
    portRangeBegin: port,
    portRangeEnd: port,
    disableAutoNegotiation: true,
    // It is not known beforehand; Noise proves it.
    disableFingerprintVerification: true,
    certificatePemFile: certificate.certificate,
    keyPemFile: certificate.key,
    maxMessageSize: maxMessageBytes,
  })
}

/** Resolves when libp2p has taken the connection over; rejects, with the peer closed, when that does not come to be. */
export async function shakeHands(
  deps: HandshakeDeps,
  peer: NativePeer,
  from: StunRequest,
  options: { signal: AbortSignal; admitted: (connection: WebRtcConnection) => void },
): Promise<WebRtcConnection> {
  const { signal, admitted } = options
  const log = deps.logger.forComponent('libp2p:webrtc:connection')
  const family = isIPv4(from.host) ? 'ip4' : 'ip6'
  const remoteAddr = multiaddr(`/${family}/${from.host}/udp/${from.port}/webrtc-direct`)
  const connection = new WebRtcConnection({ peer, remoteAddr, direction: 'inbound', log })
  const onAbort = (): void =>
    connection.abort(new Error('the handshake took too long', { cause: signal.reason }))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    const channel = connection.openStream({ negotiated: true, id: 0 })
    // Listened to before it begins: other threads carry it on, and what they told nobody they do not tell again.
    const open = opened(peer, connection)
    begin(peer, from)
    await open
    const encrypter = webRtcNoise(prologue(peer, deps.certificate.hash))(deps)
    // Who accepts begins: the client may not know yet that the channel is open.
    const { remotePeer } = await encrypter.secureOutbound(channel, {
      signal,
      skipStreamMuxerNegotiation: true,
    })
    admitted(connection)
    await deps.upgrader.upgradeInbound(connection, {
      skipEncryption: true,
      skipProtection: true,
      remotePeer,
      muxerFactory: connection.muxerFactory,
      signal,
    })
    return connection
  } catch (error) {
    connection.abort(asError(error))
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Both descriptions follow from what the client sent. */
function begin(peer: NativePeer, from: StunRequest): void {
  peer.setRemoteDescription(offerOf(from), 'offer')
  peer.setLocalDescription('answer', { iceUfrag: from.ufrag, icePwd: from.ufrag })
}

/** Resolves when DTLS is done, rejects when the connection ends before that. */
function opened(peer: NativePeer, connection: WebRtcConnection): Promise<void> {
  const open = new Promise<void>((resolve, reject) => {
    connection.addEventListener('close', () => reject(new Error('the connection ended in its handshake')), {
      once: true,
    })
    peer.onStateChange((state) => {
      if (state === 'connected') resolve()
      // Disconnected: nothing was heard for so long that the client is gone, or has begun anew.
      else if (state === 'disconnected' || state === 'failed' || state === 'closed')
        connection.onTransportClosed()
    })
  })
  // Nobody may wait for it, when it cannot even begin.
  open.catch(() => {})
  return open
}

/** What the client would have offered. */
function offerOf({ ufrag, host, port }: StunRequest): string {
  const at = `IN ${isIPv4(host) ? 'IP4' : 'IP6'} ${host}`
  return [
    'v=0',
    `o=- 0 0 ${at}`,
    's=-',
    `c=${at}`,
    't=0 0',
    'a=ice-options:ice2,trickle',
    `m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`,
    'a=mid:0',
    'a=setup:active',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${ufrag}`,
    `a=fingerprint:sha-256 ${Array(32).fill('00').join(':')}`,
    'a=sctp-port:5000',
    `a=max-message-size:${maxMessageBytes}`,
    `a=candidate:1 1 UDP 1 ${host} ${port} typ host`,
    'a=end-of-candidates',
    '',
  ].join('\r\n')
}

/** What Noise is bound to: both certificates, that of its responder first, which is the client. */
function prologue(peer: NativePeer, ours: Uint8Array): Uint8Array {
  const { value, algorithm } = peer.remoteFingerprint()
  if (algorithm !== 'sha-256') throw new Error(`a certificate hashed by ${algorithm}`)
  const theirs = create(0x12, Buffer.from(value.replaceAll(':', ''), 'hex')).bytes
  return Buffer.concat([Buffer.from('libp2p-webrtc-noise:'), theirs, ours])
}
