/**
 * A private key that does not compute a signature again which it made just now. Every Noise handshake has the key
 * sign the host's one static Noise key: the same bytes for each client, and with RSA a good part of what a new
 * connection costs.
 *
 * Remembers two messages and their signatures, so that another kind of message in between does not displace the
 * handshake's. None of it is a secret: it is sent to every peer.
 */

import type { PrivateKey } from '@libp2p/interface'

const remembered = 2

type Message = Parameters<PrivateKey['sign']>[0]
type Signature = Uint8Array | Promise<Uint8Array>

/** Returns `key` as it is, but for `sign`. */
export function repeatSigner<Key extends PrivateKey>(key: Key): Key {
  const signatures = new Map<string, Signature>()
  const sign = (message: Message): Signature => {
    const text = Buffer.from(message.subarray()).toString('latin1')
    const signature = signatures.get(text) ?? key.sign(message)
    signatures.delete(text)
    signatures.set(text, signature)
    for (const oldest of signatures.keys()) {
      if (signatures.size <= remembered) break
      signatures.delete(oldest)
    }
    // A failure is not remembered; whoever asked sees it through the promise returned.
    Promise.resolve(signature).catch(() => signatures.delete(text))
    return signature
  }
  return Object.create(key, { sign: { value: sign } }) as Key
}
