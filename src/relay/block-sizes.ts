import { type CidKey, codecs } from '#src/bitswap/cid.ts'

/**
 * How large the next block will be, judged by those that came lately from the same backend or to the same client.
 * Leaves of files (raw) and nodes (all else) are told apart: a site of small nodes may have large leaves.
 *
 * It remembers the share of large blocks and not their mean, which one block of 2 MiB among small ones would carry
 * away. Invariant: it only chooses a road. Memory: two numbers per kind of block.
 */

/**
 * From here on a block costs clearly less by HTTP than by Bitswap, where a request costs more and a byte less: the edge
 * does as much of either at 32 KiB per block, and a quarter more by HTTP at 64 KiB (scripts/bench/NOTES.md).
 */
export const largeBlockBytes = 64 * 1024

/** With fewer blocks seen nothing is expected. */
const fewBlocks = 4
/** Blocks over which the share is averaged. */
const window = 16

interface Share {
  blocks: number
  large: number
}

export class BlockSizes {
  readonly #raw: Share = { blocks: 0, large: 0 }
  readonly #nodes: Share = { blocks: 0, large: 0 }

  /** Learns from a verified block. */
  saw(codec: number, bytes: number): void {
    const share = codec === codecs.raw ? this.#raw : this.#nodes
    if (share.blocks < window) share.blocks++
    share.large += ((bytes >= largeBlockBytes ? 1 : 0) - share.large) / share.blocks
  }

  /** Says whether the block with that CID will be large; undefined: too little is known. */
  expectsLarge(cid: CidKey): boolean | undefined {
    const { blocks, large } = isRaw(cid) ? this.#raw : this.#nodes
    return blocks < fewBlocks ? undefined : large >= 0.5
  }
}

/** A CID of version 0 begins with its multihash, 0x12, and is a node. */
function isRaw(cid: CidKey): boolean {
  return cid.charCodeAt(0) === 1 && cid.charCodeAt(1) === codecs.raw
}
