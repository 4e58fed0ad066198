/**
 * Noise with an AEAD that works on every runtime: wasm for short frames, libsodium for long ones and the system's OpenSSL,
 * where there is one, for very long ones; wasm for all where the addon does not load. The library's default is broken on Bun for frames of 1200 bytes and
 * more (its node:crypto has no chacha20-poly1305).
 *
 * Keeps nothing; allocates a buffer per frame where it is not told where to seal.
 */

import { type ICryptoInterface, noise } from '@chainsafe/libp2p-noise'
import { asCrypto, defaultCrypto } from '@chainsafe/libp2p-noise/crypto'
import { type LongAead, libcrypto } from '#src/p2p/noise/libcrypto.ts'
import { quickenFrames, takeSealTarget } from '#src/p2p/noise/noise-frames.ts'
import { type SodiumAead, sodium } from '#src/p2p/noise/sodium.ts'
import { fill } from '#src/util/pieces.ts'

const tagBytes = 16

/** Below this many bytes of plaintext the call into the addon costs more than wasm's slower cipher. */
const sodiumFromBytes = 400

type Aead = Pick<ICryptoInterface, 'chaCha20Poly1305Encrypt' | 'chaCha20Poly1305Decrypt'>

/** From this many on OpenSSL's four calls per frame are worth their while. */
const libcryptoFromBytes = 4096

/**
 * Returns the AEAD that uses `addon` for long frames, and what `longest` returns for very long ones; the same bytes as
 * wasm, frame by frame.
 */
export function hybridAead(addon: SodiumAead, longest: () => LongAead | undefined = libcrypto): Aead {
  return {
    chaCha20Poly1305Encrypt(plaintext, nonce, ad, k) {
      if (plaintext.byteLength < sodiumFromBytes) {
        return asCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, k)
      }
      const sealed = takeSealTarget() ?? Buffer.allocUnsafe(plaintext.byteLength + tagBytes)
      const long = plaintext.byteLength >= libcryptoFromBytes && ad.byteLength === 0 ? longest() : undefined
      if (long !== undefined) {
        long.seal(sealed, plaintext, nonce, k)
        return sealed
      }
      // libsodium wants it in one piece, which may be where it is sealed.
      const plain =
        plaintext instanceof Uint8Array
          ? plaintext
          : fill(sealed.subarray(0, plaintext.byteLength), plaintext)
      addon.crypto_aead_chacha20poly1305_ietf_encrypt(sealed, plain, orNull(ad), null, nonce, k)
      return sealed
    },
    chaCha20Poly1305Decrypt(ciphertext, nonce, ad, k, dst) {
      const plaintextBytes = ciphertext.byteLength - tagBytes
      if (plaintextBytes < sodiumFromBytes) {
        return asCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, k, dst)
      }
      // `dst` may be the ciphertext's own memory: libsodium checks the tag first and works in place.
      const opened = dst?.byteLength === plaintextBytes ? dst : Buffer.allocUnsafe(plaintextBytes)
      const long = plaintextBytes >= libcryptoFromBytes && ad.byteLength === 0 ? longest() : undefined
      if (long !== undefined) {
        if (!long.open(opened, ciphertext.subarray(), nonce, k))
          throw new Error('a frame that was tampered with')
        return opened
      }
      addon.crypto_aead_chacha20poly1305_ietf_decrypt(
        opened,
        null,
        ciphertext.subarray(),
        orNull(ad),
        nonce,
        k,
      )
      return opened
    },
  }
}

function orNull(ad: Uint8Array): Uint8Array | null {
  return ad.byteLength === 0 ? null : ad
}

/** What `nativeNoise` made. */
export interface NativeNoise {
  /** For libp2p's `connectionEncrypters`. */
  readonly encrypter: ReturnType<typeof noise>
  /** `wasm`: the addon did not load, bulk transfer costs about eight times the CPU; worth a warning at start. */
  readonly aead: 'sodium' | 'wasm'
}

/**
 * Returns the Noise connection encrypter and which AEAD it got. `addon` is for tests and measurements:
 * `undefined` forces wasm.
 */
export function nativeNoise(options: { addon: SodiumAead | undefined } = { addon: sodium }): NativeNoise {
  const { addon } = options
  const crypto: ICryptoInterface = { ...defaultCrypto, ...asCryptoAead, ...(addon && hybridAead(addon)) }
  return { encrypter: quickened(noise({ crypto })), aead: addon ? 'sodium' : 'wasm' }
}

/** Returns Noise for a handshake behind which nothing is sent, and which tells the hashes of our certificates. */
export function webTransportNoise(webtransportCerthashes: Uint8Array[]): ReturnType<typeof noise> {
  return noise({ crypto: { ...defaultCrypto, ...asCryptoAead }, extensions: { webtransportCerthashes } })
}

/** Returns Noise for a handshake behind which nothing is sent, and which is bound to `prologueBytes`. */
export function webRtcNoise(prologueBytes: Uint8Array): ReturnType<typeof noise> {
  return noise({ crypto: { ...defaultCrypto, ...asCryptoAead }, prologueBytes })
}

/** Returns the encrypter, its connections with our own framing. */
function quickened(create: ReturnType<typeof noise>): ReturnType<typeof noise> {
  return (components) => {
    const encrypter = create(components)
    const secureInbound = encrypter.secureInbound.bind(encrypter)
    const secureOutbound = encrypter.secureOutbound.bind(encrypter)
    encrypter.secureInbound = async (connection, options) => {
      const secured = await secureInbound(connection, options)
      return { ...secured, connection: quickenFrames(secured.connection) }
    }
    encrypter.secureOutbound = async (connection, options) => {
      const secured = await secureOutbound(connection, options)
      return { ...secured, connection: quickenFrames(secured.connection) }
    }
    return encrypter
  }
}

const asCryptoAead: Aead = {
  chaCha20Poly1305Encrypt: asCrypto.chaCha20Poly1305Encrypt,
  chaCha20Poly1305Decrypt: asCrypto.chaCha20Poly1305Decrypt,
}
