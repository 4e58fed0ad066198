import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { codecs } from '#src/bitswap/cid.ts'
import { toKey } from '#src/util/bytes.ts'

/**
 * The links of a verified block, for codecs that have them. A block that does not decode has none: it is
 * passed on all the same, since its hash was right.
 */

/** Returns the multihashes (one character per byte) that a block links to, at most `limit` of them. */
export function linksOf(codec: number, bytes: Uint8Array, limit: number): readonly string[] {
  try {
    if (codec === codecs.dagPb) {
      return dagPb
        .decode(bytes)
        .Links.slice(0, limit)
        .map((link) => toKey(link.Hash.multihash.bytes))
    }
    if (codec === codecs.dagCbor) return linksWithin(dagCbor.decode(bytes), limit)
    if (codec === codecs.dagJson) return linksWithin(dagJson.decode(bytes), limit)
  } catch {
    // Not what its codec says.
  }
  return []
}

/** Collects CIDs without recursion: depth is the sender's to choose. */
function linksWithin(root: unknown, limit: number): string[] {
  const links: string[] = []
  const rest: unknown[] = [root]
  while (rest.length > 0 && links.length < limit) {
    const value = rest.pop()
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) continue
    const cid = CID.asCID(value)
    if (cid !== null) links.push(toKey(cid.multihash.bytes))
    else for (const child of Object.values(value)) rest.push(child)
  }
  return links
}
