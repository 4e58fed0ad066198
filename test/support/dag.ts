/**
 * DAGs for tests, built from the leaves up: trees, chains without an end in sight, blocks with more links than anybody
 * should follow.
 */
import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { rawCid, seededBlock } from '#test/support/seeded-content.ts'

/** A block under the CID by which others link to it. */
export interface DagBlock {
  readonly cid: CID
  readonly bytes: Uint8Array
}

/** A whole DAG; the root is the last of its blocks. */
export interface Dag {
  readonly root: CID
  readonly blocks: readonly DagBlock[]
}

const sha256Code = 0x12

/** Returns the block of any bytes as a leaf. */
export function rawBlock(bytes: Uint8Array): DagBlock {
  return { cid: rawCid(bytes), bytes }
}

/** Returns a dag-pb block with nothing but links. */
export function pbBlock(links: readonly CID[]): DagBlock {
  const bytes = dagPb.encode({ Links: links.map((Hash) => ({ Hash, Name: '', Tsize: 0 })) })
  return { cid: cidOf(dagPb.code, bytes), bytes }
}

/** Returns a dag-cbor block with links. */
export function cborBlock(links: readonly CID[]): DagBlock {
  const bytes = dagCbor.encode({ links })
  return { cid: cidOf(dagCbor.code, bytes), bytes }
}

/** Returns a root over so many seeded leaves, distinct by seed. */
export function seededTree(seed: number, leaves: number, leafBytes: number, root = pbBlock): Dag {
  const blocks = Array.from({ length: leaves }, (_, i) => rawBlock(seededBlock(seed, i, leafBytes)))
  return withRoot(blocks, root)
}

/** Returns a root over other DAGs. */
export function treeOver(branches: readonly Dag[], root = pbBlock): Dag {
  const top = root(branches.map((branch) => branch.root))
  return { root: top.cid, blocks: [...branches.flatMap(({ blocks }) => blocks), top] }
}

/** Returns a DAG in which each block links to the next, `length` of them. */
export function seededChain(seed: number, length: number): Dag {
  const blocks = [rawBlock(seededBlock(seed, 0, 64))]
  while (blocks.length < length) blocks.push(pbBlock([blocks[blocks.length - 1]!.cid]))
  return { root: blocks[blocks.length - 1]!.cid, blocks }
}

/** Returns a root over so many blocks with so many links each, to blocks that nobody has. */
export function hollowTree(seed: number, blocks: number, linksEach: number, block = pbBlock): Dag {
  const digest = Buffer.alloc(32)
  digest.writeUInt32LE(seed)
  const absent = (index: number): CID => {
    digest.writeUInt32LE(index, 4)
    return CID.createV1(0x55, createDigest(sha256Code, new Uint8Array(digest)))
  }
  const parents = Array.from({ length: blocks }, (_, at) =>
    block(Array.from({ length: linksEach }, (_, i) => absent(at * linksEach + i))),
  )
  return withRoot(parents, block)
}

function withRoot(children: readonly DagBlock[], block: (links: readonly CID[]) => DagBlock): Dag {
  const root = block(children.map(({ cid }) => cid))
  return { root: root.cid, blocks: [...children, root] }
}

function cidOf(codec: number, bytes: Uint8Array): CID {
  return CID.createV1(
    codec,
    createDigest(sha256Code, new Uint8Array(createHash('sha256').update(bytes).digest())),
  )
}
