import { createHash } from 'node:crypto'
import type { World } from '#test/sim/world.ts'

/** The blocks of a simulation, and their names in every form that peers use. */

export interface SimBlock {
  readonly index: number
  readonly bytes: Uint8Array
  readonly digest: Uint8Array
}

/** Which CID a block is asked by: all name the same multihash. */
export const cidForms = ['v0', 'v1-raw', 'v1-dag-pb', 'v1-dag-cbor'] as const
export type CidForm = (typeof cidForms)[number]

const heads: Record<CidForm, readonly number[]> = {
  v0: [0x12, 0x20],
  'v1-raw': [1, 0x55, 0x12, 0x20],
  'v1-dag-pb': [1, 0x70, 0x12, 0x20],
  'v1-dag-cbor': [1, 0x71, 0x12, 0x20],
}

export class Content {
  readonly blocks: SimBlock[] = []
  readonly #byDigest = new Map<string, SimBlock>()

  /** `sizeOf` gives each block its size; the index is in its bytes, so that all differ. */
  constructor(count: number, sizeOf: (index: number) => number) {
    for (let index = 0; index < count; index++) {
      const bytes = new Uint8Array(Math.max(4, sizeOf(index)))
      for (let at = 0; at < bytes.length; at += 61) bytes[at] = (index * 31 + at) & 0xff
      this.add(bytes)
    }
  }

  /** Adds a block; its index is written over its first four bytes. */
  add(bytes: Uint8Array): SimBlock {
    const index = this.blocks.length
    new DataView(bytes.buffer).setUint32(0, index)
    const digest = new Uint8Array(createHash('sha256').update(bytes).digest())
    const block = { index, bytes, digest }
    this.blocks.push(block)
    this.#byDigest.set(hex(digest), block)
    return block
  }

  get(index: number): SimBlock {
    return this.blocks[index] as SimBlock
  }

  /** Returns the block that a CID of any form names. */
  named(cid: Uint8Array): SimBlock | undefined {
    return this.#byDigest.get(hex(cid.subarray(cid.length - 32)))
  }

  /** Returns the block with exactly these bytes. */
  withBytes(bytes: Uint8Array): SimBlock | undefined {
    if (bytes.length < 4) return undefined
    const index = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
    const block = this.blocks[index]
    return block !== undefined && Buffer.compare(block.bytes, bytes) === 0 ? block : undefined
  }
}

export function cidOf(block: SimBlock, form: CidForm): Uint8Array {
  const head = heads[form]
  const cid = new Uint8Array(head.length + 32)
  cid.set(head)
  cid.set(block.digest, head.length)
  return cid
}

/** Returns what comes before the digest in a block sent for `cid`; CIDv0 is said in full. */
export function prefixFor(cid: Uint8Array): Uint8Array {
  return cid.length === 34 ? Uint8Array.from([0, 0x70, 0x12, 0x20]) : cid.slice(0, cid.length - 32)
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

/** Sizes as they come: mostly small ones, some of a chunk, few of the largest allowed. */
export function mixedSizes(world: World): (index: number) => number {
  return () => {
    const kind = world.random()
    if (kind < 0.5) return world.integer(4, 1024)
    if (kind < 0.97) return world.integer(1025, 20_000)
    if (kind < 0.997) return 262_144
    return 2 * 1024 * 1024
  }
}
