import { type MultihashKey, multihashKey, type Prefix } from '#src/bitswap/cid.ts'

/** Returns the digest of `bytes` by a multihash code, one character per byte; undefined for unknown codes. */
export type DigestOf = (hashCode: number, bytes: Uint8Array) => string | undefined

/**
 * Returns the multihash that a received block really has, by hashing it: whoever wants that multihash may
 * have the block, whatever its sender meant it to be. Undefined when the hash function is unknown.
 */
export function hashBlock(digestOf: DigestOf, prefix: Prefix, bytes: Uint8Array): MultihashKey | undefined {
  const digest = digestOf(prefix.hashCode, bytes)
  return digest === undefined ? undefined : multihashKey(prefix.hashCode, digest, prefix.digestLength)
}
