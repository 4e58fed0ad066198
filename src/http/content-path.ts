import { bases } from 'multiformats/basics'
import { CID } from 'multiformats/cid'
import { type CidKey, type MultihashKey, parseCid } from '#src/bitswap/cid.ts'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import type { KnowsHash } from '#src/relay/ports.ts'
import type { RefsRoot } from '#src/relay/preload/refs.ts'
import { toKey } from '#src/util/bytes.ts'

/*
 * What a caller names: a CID and perhaps a path below it. Kubo takes a bare CID, CID/path, /ipfs/CID/path, and the
 * URIs ipfs://CID/path and ipfs:CID/path; so do we, and are stricter about the rest: Kubo cleans a path, and what was
 * checked would no longer be what is done.
 */

export interface ContentPath {
  readonly cid: CID
  /** The names below it. */
  readonly names: readonly string[]
}

const maxCharacters = 2_048
/** The longest CID that Bitswap carries, in hexadecimal and some more: large bases cost the square of their length. */
const maxCidCharacters = 512
const libp2pKeyCodec = 0x72
const identityHash = 0x00
const howTo = 'write a CID, CID/path or /ipfs/CID/path'

/** Returns the CID and the names that a text stands for. */
export function parseContentPath(text: string): Parsed<ContentPath> {
  if (text === '') return refused(`is empty; ${howTo}`)
  if (text.length > maxCharacters) return refused(`is longer than ${maxCharacters} characters`)
  // What was no UTF-8 has been replaced by U+FFFD: it would name something else.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
  if (/[\u0000-\u001f\u007f\ufffd]/.test(text)) return refused('has a control character, or is not UTF-8')
  const path = text.replace(/^(ipfs|ipns|ipld):(?:\/\/)?/i, (_, space: string) => `/${space.toLowerCase()}/`)
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return refused(`is a URL; ${howTo}`)
  if (path.startsWith('/ipns/'))
    return refused('is a name that may change; resolve it, and give what it stands for')
  if (path.startsWith('/') && !path.startsWith('/ipfs/')) return refused(`is no path of /ipfs/; ${howTo}`)
  // One slash at the end is a habit of people who think of directories.
  const [first = '', ...names] = path
    .replace(/^\/ipfs\//, '')
    .replace(/\/$/, '')
    .split('/')
  if (names.some((name) => name === '' || name === '.' || name === '..')) {
    return refused('has an empty part, "." or ".." in its path; give the path without them')
  }
  const cid = parseCidText(first)
  return cid.ok ? taken({ cid: cid.value, names }) : cid
}

/** Returns the CID that a text is, in any base and version. */
export function parseCidText(text: string): Parsed<CID> {
  if (text.length > maxCidCharacters) return refused(`has a CID of more than ${maxCidCharacters} characters`)
  try {
    const base = Object.values(bases).find(({ prefix }) => prefix !== '\0' && text.startsWith(prefix))
    const parsed = base === undefined ? CID.parse(text) : CID.parse(text, base.decoder)
    // From its bytes: one that was parsed writes itself as it was written, stray padding included.
    const cid = CID.decode(parsed.bytes)
    // A CID of the library that is none for Bitswap is still worth a better reason than this.
    if (parseCid(cid.bytes) !== 'bad-cid' || cid.multihash.size < 20) return taken(cid)
  } catch {
    // Falls through: whatever it is, it is no CID.
  }
  return refused(`has no CID where one is due; ${howTo}`)
}

/** Returns what the relay knows a root by, or why it cannot be fetched by Bitswap. */
export function rootOf(cid: CID, knowsHash: KnowsHash): Parsed<RefsRoot> {
  if (cid.code === libp2pKeyCodec) return refused('is the CID of a key (an IPNS name), not of content')
  if (cid.multihash.code === identityHash) return inlineRoot(cid)
  const parsed = parseCid(cid.bytes)
  if (parsed === 'cid-too-long')
    return refused('has a CID of more than 168 bytes, which Bitswap does not carry')
  if (typeof parsed === 'string')
    return refused('has a digest of fewer than 20 bytes, which anybody could forge')
  if (!knowsHash(parsed.hashCode)) return refused('has a hash function that cannot be verified here')
  return taken({ cid: parsed.key, multihash: parsed.multihash, codec: parsed.codec })
}

/** Its block is the CID itself. */
function inlineRoot(cid: CID): Parsed<RefsRoot> {
  if (parseCid(cid.bytes) !== 'identity-cid') {
    return refused('has a CID of more than 168 bytes, which Bitswap does not carry')
  }
  return taken({
    cid: toKey(cid.bytes) as CidKey,
    multihash: toKey(cid.multihash.bytes) as MultihashKey,
    codec: cid.code,
    inline: cid.multihash.digest,
  })
}

/** Returns a content path in the one way in which backends are told of it. */
export function formatContentPath({ cid, names }: ContentPath): string {
  return names.length === 0 ? cid.toString() : `/ipfs/${[cid.toString(), ...names].join('/')}`
}
