import { createHash } from 'node:crypto'
import { blake2b, blake2s } from '@noble/hashes/blake2.js'
import { blake3 } from '@noble/hashes/blake3.js'
import { keccak_256, keccak_512, sha3_224, sha3_256, sha3_384, sha3_512 } from '@noble/hashes/sha3.js'
import { toKey } from '#src/util/bytes.ts'

/**
 * The hash functions that blocks are verified by: those that boxo accepts from the network, sha2 natively
 * (1.6 GB/s), the rest by @noble/hashes. Codes are those of the multicodec table.
 */

type Hash = (bytes: Uint8Array) => string

const sha256 = native('sha256')

const hashes = new Map<number, Hash>([
  [0x11, native('sha1')],
  [0x12, native('sha256')],
  [0x13, native('sha512')],
  [0x20, native('sha384')],
  [0x1013, native('sha224')],
  [0x56, (bytes) => sha256(createHash('sha256').update(bytes).digest())],
  [0x14, portable(sha3_512)],
  [0x15, portable(sha3_384)],
  [0x16, portable(sha3_256)],
  [0x17, portable(sha3_224)],
  [0x1b, portable(keccak_256)],
  [0x1d, portable(keccak_512)],
  [0x1e, portable(blake3)],
])

/** blake2b-8 … blake2b-512 and blake2s-8 … blake2s-256 are a code each, one per byte of digest. */
const blake2bFirst = 0xb201
const blake2bLast = 0xb240
const blake2sFirst = 0xb241
const blake2sLast = 0xb260

/** Returns the digest of `bytes`, one character per byte, or undefined when the function is unknown. */
export function digestOf(hashCode: number, bytes: Uint8Array): string | undefined {
  if (hashCode >= blake2bFirst && hashCode <= blake2bLast) {
    return toKey(blake2b(bytes, { dkLen: hashCode - blake2bFirst + 1 }))
  }
  if (hashCode >= blake2sFirst && hashCode <= blake2sLast) {
    return toKey(blake2s(bytes, { dkLen: hashCode - blake2sFirst + 1 }))
  }
  return hashes.get(hashCode)?.(bytes)
}

/** Says whether `digestOf` knows the function. */
export function knowsHash(hashCode: number): boolean {
  return (hashCode >= blake2bFirst && hashCode <= blake2sLast) || hashes.has(hashCode)
}

function native(name: string): Hash {
  return (bytes) => createHash(name).update(bytes).digest('binary')
}

function portable(hash: (bytes: Uint8Array) => Uint8Array): Hash {
  return (bytes) => toKey(hash(bytes))
}
