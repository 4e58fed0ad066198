/**
 * Content that every test peer can recompute from three numbers: seed, index and size.
 *
 * The Go peer (test/peers/go/content.go) and the js-ipfs peer (seeded-chunks.mjs) hold the same function;
 * test/e2e/peers.test.ts compares them. A block is 8 bytes of little endian seed and index, which keep
 * blocks distinct, then xorshift32 words.
 */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'

/** The leaf size of seeded files, which is the default chunker's of Kubo and js-ipfs. */
export const seededChunkBytes = 256 * 1024

const rawCodec = 0x55
const sha256Code = 0x12

/** The bytes of block `index`. */
export function seededBlock(seed: number, index: number, sizeBytes: number): Uint8Array {
  const block = new Uint8Array(Math.ceil(sizeBytes / 4) * 4)
  const view = new DataView(block.buffer)
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0 || 1
  if (block.length > 0) view.setUint32(0, seed, true)
  if (block.length > 4) view.setUint32(4, index, true)
  for (let at = 8; at < block.length; at += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    view.setUint32(at, state >>> 0, true)
  }
  return block.subarray(0, sizeBytes)
}

/** The CIDv1 (raw, sha2-256) of block `index`: what `serve --blocks` of the Go peer holds. */
export function seededCid(seed: number, index: number, sizeBytes: number): CID {
  return rawCid(seededBlock(seed, index, sizeBytes))
}

/** The CIDv1 (raw, sha2-256) of any bytes. */
export function rawCid(bytes: Uint8Array): CID {
  const hash = createHash('sha256').update(bytes).digest()
  return CID.createV1(rawCodec, createDigest(sha256Code, new Uint8Array(hash)))
}

/** Yields a seeded file of so many bytes in chunks of 256 KiB: blocks 0, 1, 2, … one after the other. */
export function* seededFile(seed: number, sizeBytes: number): Generator<Uint8Array> {
  for (let index = 0; index * seededChunkBytes < sizeBytes; index++) {
    yield seededBlock(seed, index, Math.min(seededChunkBytes, sizeBytes - index * seededChunkBytes))
  }
}

/** The sha256 (hex) of a seeded file's content: what a right `cat` of it must have. */
export function seededFileDigest(seed: number, sizeBytes: number): string {
  const hash = createHash('sha256')
  for (const chunk of seededFile(seed, sizeBytes)) hash.update(chunk)
  return hash.digest('hex')
}
