import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { codecs } from '#src/bitswap/cid.ts'
import { toKey } from '#src/util/bytes.ts'
import { type Body, joined } from '#src/util/pieces.ts'

/**
 * The links of a verified block, for codecs that have them. A block that does not decode has none: it is
 * passed on all the same, since its hash was right. A block inside a link (an identity CID) is part of the one that
 * holds it: nobody asks for it, but what it links to is asked for.
 */

/** As long as Kubo takes them. */
const maxInlineBytes = 128
/** Blocks inside of links inside of blocks inside of links: nobody makes more, and each costs a decoding. */
const mostNested = 3

/** Returns the multihashes (one character per byte) that a block links to, at most `limit` of them. */
export function linksOf(codec: number, block: Body, limit: number): readonly string[] {
  return linksAt(codec, block, limit, 0)
}

function linksAt(codec: number, block: Body, limit: number, nested: number): readonly string[] {
  try {
    if (codec === codecs.dagPb) {
      return dagPb
        .decode(joined(block))
        .Links.slice(0, limit)
        .flatMap((link) => behind(link.Hash, limit, nested))
        .slice(0, limit)
    }
    if (codec === codecs.dagCbor) return linksWithin(dagCbor.decode(joined(block)), limit, nested)
    if (codec === codecs.dagJson) return linksWithin(dagJson.decode(joined(block)), limit, nested)
  } catch {
    // Not what its codec says.
  }
  return []
}

/** Collects CIDs without recursion: depth is the sender's to choose. */
function linksWithin(root: unknown, limit: number, nested: number): string[] {
  const links: string[] = []
  const rest: unknown[] = [root]
  while (rest.length > 0 && links.length < limit) {
    const value = rest.pop()
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) continue
    const cid = CID.asCID(value)
    if (cid !== null) links.push(...behind(cid, limit - links.length, nested))
    else for (const child of Object.values(value)) rest.push(child)
  }
  return links
}

/** What a link stands for: a block, or what is linked from within the link itself. */
function behind({ code, multihash }: CID, limit: number, nested: number): readonly string[] {
  if (multihash.code !== identity.code) return [toKey(multihash.bytes)]
  if (multihash.size > maxInlineBytes || nested >= mostNested) return []
  return linksAt(code, multihash.digest, limit, nested + 1)
}
