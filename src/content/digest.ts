import { createHash } from 'node:crypto'
import { blake2b, blake2s } from '@noble/hashes/blake2.js'
import { blake3 } from '@noble/hashes/blake3.js'
import { keccak_256, keccak_512, sha3_224, sha3_256, sha3_384, sha3_512 } from '@noble/hashes/sha3.js'
import type { RunningHash } from '#src/bitswap/block.ts'
import { toKey } from '#src/util/bytes.ts'
import { type Body, eachPiece } from '#src/util/pieces.ts'

/**
 * The hash functions that blocks are verified by: those that boxo accepts from the network, sha2 natively
 * (1.6 GB/s), the rest by @noble/hashes. Codes are those of the multicodec table.
 */

type Begin = () => RunningHash

const hashes = new Map<number, Begin>([
  [0x11, native('sha1')],
  [0x12, native('sha256')],
  [0x13, native('sha512')],
  [0x20, native('sha384')],
  [0x1013, native('sha224')],
  [0x56, twice('sha256')],
  [0x14, portable(() => sha3_512.create())],
  [0x15, portable(() => sha3_384.create())],
  [0x16, portable(() => sha3_256.create())],
  [0x17, portable(() => sha3_224.create())],
  [0x1b, portable(() => keccak_256.create())],
  [0x1d, portable(() => keccak_512.create())],
  [0x1e, portable(() => blake3.create({}))],
])

/** blake2b-8 … blake2b-512 and blake2s-8 … blake2s-256 are a code each, one per byte of digest. */
const blake2bFirst = 0xb201
const blake2bLast = 0xb240
const blake2sFirst = 0xb241
const blake2sLast = 0xb260

/** Begins a hash of bytes that come piece by piece; undefined when the function is unknown. */
export function startHash(hashCode: number): RunningHash | undefined {
  return beginOf(hashCode)?.()
}

/** Returns the digest of `bytes`, one character per byte, or undefined when the function is unknown. */
export function digestOf(hashCode: number, bytes: Body): string | undefined {
  const hash = startHash(hashCode)
  if (hash === undefined) return undefined
  eachPiece(bytes, (piece) => hash.update(piece))
  return hash.digest()
}

/** Says whether `digestOf` knows the function. */
export function knowsHash(hashCode: number): boolean {
  return beginOf(hashCode) !== undefined
}

function beginOf(hashCode: number): Begin | undefined {
  if (hashCode >= blake2bFirst && hashCode <= blake2bLast) {
    return portable(() => blake2b.create({ dkLen: hashCode - blake2bFirst + 1 }))
  }
  if (hashCode >= blake2sFirst && hashCode <= blake2sLast) {
    return portable(() => blake2s.create({ dkLen: hashCode - blake2sFirst + 1 }))
  }
  return hashes.get(hashCode)
}

function native(name: string): Begin {
  return () => {
    const hash = createHash(name)
    return {
      update: (bytes) => hash.update(bytes),
      digest: () => hash.digest('binary'),
    }
  }
}

/** The hash of the hash. */
function twice(name: string): Begin {
  return () => {
    const hash = createHash(name)
    return {
      update: (bytes) => hash.update(bytes),
      digest: () => createHash(name).update(hash.digest()).digest('binary'),
    }
  }
}

function portable(begin: () => { update(bytes: Uint8Array): unknown; digest(): Uint8Array }): Begin {
  return () => {
    const hash = begin()
    return {
      update: (bytes) => hash.update(bytes),
      digest: () => toKey(hash.digest()),
    }
  }
}
