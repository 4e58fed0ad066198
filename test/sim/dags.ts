import { type CidKey, type MultihashKey, parseCid } from '#src/bitswap/cid.ts'
import type { RefsQuery } from '#src/relay/preload/refs.ts'
import { type Body, joined } from '#src/util/pieces.ts'
import { type CidForm, Content, cidOf, hex, type SimBlock } from '#test/sim/content.ts'
import type { World } from '#test/sim/world.ts'

/**
 * DAGs of a simulation, in a toy codec that goes under the code of dag-cbor: after the block's index come a count and
 * so many links, each a codec and a digest, then filling. Hashes are real. Leaves are raw.
 */

export interface Dag {
  readonly root: SimBlock
  /** Every block of it, each once. */
  readonly indices: ReadonlySet<number>
}

const nodeCodec = 0x71
const leafCodec = 0x55
const linkBytes = 33
const linksAt = 6

export class Dags {
  readonly content: Content
  readonly #world: World
  readonly #links = new Map<number, readonly number[]>()

  constructor(world: World, content = new Content(0, () => 0)) {
    this.#world = world
    this.content = content
  }

  /** The blocks that a block links to. */
  linksOf(index: number): readonly number[] {
    return this.#links.get(index) ?? []
  }

  leaf(bytes: number): SimBlock {
    const block = new Uint8Array(Math.max(8, bytes))
    block.fill(0xa5, 4)
    return this.content.add(block)
  }

  node(children: readonly SimBlock[], filling = 0): SimBlock {
    const bytes = new Uint8Array(linksAt + children.length * linkBytes + filling)
    new DataView(bytes.buffer).setUint16(4, children.length)
    children.forEach((child, n) => {
      bytes[linksAt + n * linkBytes] = this.#links.has(child.index) ? nodeCodec : leafCodec
      bytes.set(child.digest, linksAt + n * linkBytes + 1)
    })
    const block = this.content.add(bytes)
    this.#links.set(
      block.index,
      children.map(({ index }) => index),
    )
    return block
  }

  /** A root over leaves. */
  flat(leaves: number, leafBytes: () => number): Dag {
    return this.under(this.node(Array.from({ length: leaves }, () => this.leaf(leafBytes()))))
  }

  /** Each block links to the next. */
  chain(length: number): Dag {
    let block = this.leaf(100)
    for (let n = 1; n < length; n++) block = this.node([block])
    return this.under(block)
  }

  /** A tree of any shape, now and then with a part that others have as well, or the same part twice. */
  any(blocks: number, shared: readonly SimBlock[] = []): Dag {
    const world = this.#world
    const parts: SimBlock[] = []
    for (let n = 0; n < blocks; n++) {
      if (parts.length > 1 && world.chance(0.3)) {
        parts.push(this.node(parts.splice(0, world.integer(1, parts.length)), world.integer(0, 200)))
      } else if (shared.length > 0 && world.chance(0.1)) {
        parts.push(world.pick(shared))
      } else {
        parts.push(this.leaf(world.chance(0.9) ? world.integer(8, 3_000) : world.integer(3_000, 200_000)))
      }
    }
    if (world.chance(0.3)) parts.push(world.pick(parts))
    return this.under(parts.length === 1 ? (parts[0] as SimBlock) : this.node(parts))
  }

  /** The DAG under a block. */
  under(root: SimBlock): Dag {
    const indices = new Set([root.index])
    for (const index of indices) for (const child of this.linksOf(index)) indices.add(child)
    return { root, indices }
  }

  /** The form in which a block is linked to. */
  formOf(index: number): CidForm {
    return this.#links.has(index) ? 'v1-dag-cbor' : 'v1-raw'
  }

  cid(index: number): Uint8Array {
    return cidOf(this.content.get(index), this.formOf(index))
  }

  query(dag: Dag, options: Partial<RefsQuery> = {}): RefsQuery {
    const cid = parseCid(this.cid(dag.root.index))
    if (typeof cid === 'string') throw new Error(cid)
    const { key, multihash, codec } = cid
    return {
      arg: Buffer.from(this.cid(dag.root.index)).toString('hex'),
      root: { cid: key as CidKey, multihash: multihash as MultihashKey, codec },
      recursive: true,
      unique: false,
      edges: false,
      maxDepth: -1,
      format: '',
      ...options,
    }
  }

  /** The line that Kubo writes of a block. */
  line(index: number): string {
    return `${JSON.stringify({ Ref: Buffer.from(this.cid(index)).toString('hex'), Err: '' })}\n`
  }

  /** The blocks that an answer to a query lists: depth first. */
  listed(query: RefsQuery, dag: Dag): number[] {
    const listed: number[] = []
    const seen = new Set<number>()
    const list = (index: number, depth: number): void => {
      for (const child of this.linksOf(index)) {
        if (query.unique && seen.has(child)) continue
        seen.add(child)
        listed.push(child)
        if (query.recursive && (query.maxDepth < 0 || depth < query.maxDepth)) list(child, depth + 1)
      }
    }
    list(dag.root.index, 1)
    return listed
  }

  /** The blocks that a query makes a backend fetch. */
  needed(query: RefsQuery, dag: Dag): ReadonlySet<number> {
    if (query.recursive && query.maxDepth < 0) return dag.indices
    return new Set([dag.root.index, ...this.listed(query, dag)])
  }
}

/** The links of the toy codec, as the relay's port has it. */
export function toyLinksOf(codec: number, body: Body, limit: number): readonly string[] {
  const bytes = joined(body)
  if (codec !== nodeCodec || bytes.length < linksAt) return []
  const count = new DataView(bytes.buffer, bytes.byteOffset).getUint16(4)
  if (linksAt + count * linkBytes > bytes.length) return []
  const links: string[] = []
  for (let n = 0; n < Math.min(count, limit); n++) {
    const at = linksAt + n * linkBytes + 1
    links.push(`\x12\x20${hex(bytes.subarray(at, at + 32))}`)
  }
  return links
}
