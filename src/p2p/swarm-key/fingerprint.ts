import { salsa20 } from '@noble/ciphers/salsa.js'
import { shake128 } from '@noble/hashes/sha3.js'

/** Returns what a Kubo prints as "Swarm key fingerprint": 32 hex digits that tell keys apart and no part of the key. */
export function swarmKeyFingerprint(key: Uint8Array): string {
  const stream = salsa20(key, Buffer.from('finprint'), new Uint8Array(64))
  return Buffer.from(shake128(stream, { dkLen: 16 })).toString('hex')
}
