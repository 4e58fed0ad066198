import { type MultihashKey, multihashKey, type Prefix } from '#src/bitswap/cid.ts'
import type { BlockEntry } from '#src/bitswap/message.ts'
import type { Body } from '#src/util/pieces.ts'

/** Returns the digest of `bytes` by a multihash code, one character per byte; undefined for unknown codes. */
export type DigestOf = (hashCode: number, bytes: Body) => string | undefined

/** A hash of bytes that come piece by piece. */
export interface RunningHash {
  update(bytes: Uint8Array): unknown
  /** One character per byte; ends it. */
  digest(): string
}

/** Begins a hash by a multihash code; undefined for unknown codes. */
export type StartHash = (hashCode: number) => RunningHash | undefined

/**
 * Returns the multihash that a received block really has, by hashing it: whoever wants that multihash may
 * have the block, whatever its sender meant it to be. Undefined when the hash function is unknown.
 */
export function hashBlock(digestOf: DigestOf, prefix: Prefix, entry: BlockEntry): MultihashKey | undefined {
  const digest = entry.digest ?? digestOf(prefix.hashCode, entry.bytes)
  return digest === undefined ? undefined : multihashKey(prefix.hashCode, digest, prefix.digestLength)
}
