/**
 * The seam to libsodium: an N-API addon that may be absent (musl, an unwritable or noexec temp directory,
 * a build for a platform without a prebuilt one). Whoever imports this gets `undefined` then, never an
 * exception: the edge is slower without it, not broken.
 */

/** The two calls that a Noise transport needs, as sodium-native declares them. */
export interface SodiumAead {
  /** Writes ciphertext and tag into `c`, which is 16 bytes longer than `m`. */
  crypto_aead_chacha20poly1305_ietf_encrypt(
    c: Uint8Array,
    m: Uint8Array,
    ad: Uint8Array | null,
    nsec: null,
    npub: Uint8Array,
    k: Uint8Array,
  ): number
  /** Writes the plaintext into `m`, which is 16 bytes shorter than `c`; throws if the tag is wrong. */
  crypto_aead_chacha20poly1305_ietf_decrypt(
    m: Uint8Array,
    nsec: null,
    c: Uint8Array,
    ad: Uint8Array | null,
    npub: Uint8Array,
    k: Uint8Array,
  ): number
}

async function load(): Promise<SodiumAead | undefined> {
  try {
    // The specifier is a literal so that the build can put the addon of its target in the package's place.
    // @ts-expect-error the package has no types
    const loaded = (await import('sodium-native')) as { default?: SodiumAead } & SodiumAead
    const sodium = loaded.default ?? loaded
    // A loader that succeeded is not yet an addon that works: one sealed byte tells.
    const sealed = new Uint8Array(17)
    sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
      sealed,
      new Uint8Array(1),
      null,
      null,
      new Uint8Array(12),
      new Uint8Array(32),
    )
    return sealed.some((byte) => byte !== 0) ? sodium : undefined
  } catch {
    return undefined
  }
}

/** libsodium where its addon loads, else `undefined`. */
export const sodium: SodiumAead | undefined = await load()
