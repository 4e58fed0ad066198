/**
 * What secures the connections of a host: which protocols, in which order, and the key of its private network. Who
 * dials offers the protocols in this order and takes the first that the other side speaks; who is dialled speaks each.
 *
 * Keeps nothing.
 */

import type { MultiaddrConnection } from '@libp2p/interface'
import type { Libp2pInit } from 'libp2p'
import type { ConnectionSecurity } from '#src/config/config.ts'
import { type NativeNoise, nativeNoise } from '#src/p2p/noise/noise.ts'
import { hasPeerTls, peerTls } from '#src/p2p/peer-tls/peer-tls.ts'
import { swarmKeyProtector } from '#src/p2p/swarm-key/protector.ts'
import { keystreams } from '#src/p2p/swarm-key/xsalsa20.ts'
import { KitsuneError } from '#src/util/errors.ts'

/** Called for each connection whose peer has another swarm key, or none. */
export type SwarmKeyRefusal = (connection: MultiaddrConnection, reason: string) => void

export interface Security {
  /** For the options of a libp2p node. */
  readonly init: Pick<Libp2pInit, 'connectionEncrypters' | 'connectionProtector'>
  /** Which cipher Noise runs on. */
  readonly aead: NativeNoise['aead']
}

/** Returns what `security` asks for; on a runtime without TLS for peers that is left out, and alone it is an error. */
export async function securityOf(
  security: ConnectionSecurity,
  refused: SwarmKeyRefusal = () => {},
): Promise<Security> {
  const { encrypter, aead } = nativeNoise()
  const usable = security.protocols.filter((protocol) => protocol === 'noise' || hasPeerTls)
  if (usable.length === 0) {
    throw new KitsuneError('NO_SECURITY', 'TLS between peers is not to be had on this runtime', {
      facts: { hint: 'Put noise into KITSUNE_SECURITY and KITSUNE_BACK_SECURITY, or run it on Bun.' },
    })
  }
  const connectionEncrypters = usable.map((protocol) => (protocol === 'noise' ? encrypter : peerTls()))
  const { swarmKey: key } = security
  if (key === undefined) return { init: { connectionEncrypters }, aead }
  const connectionProtector = swarmKeyProtector({ key, keystream: await keystreams(), refused })
  return { init: { connectionEncrypters, connectionProtector }, aead }
}
