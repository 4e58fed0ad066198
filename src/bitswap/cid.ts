import { maxCidBytes } from '#src/bitswap/protocol.ts'
import { type Cursor, readVarint, toKey, varintLength, writeVarint } from '#src/util/bytes.ts'

/**
 * CIDs as Bitswap needs them: checked once when they arrive, then map keys. No object of a CID library is
 * made per want or block. A CID is kept as its bytes in a string (see util/bytes), and its multihash is
 * the tail of that string: two CIDs with one multihash are one block, whatever their version and codec.
 */

/** A CID's bytes, one character each. */
export type CidKey = string & { readonly brand: 'cid' }
/** A multihash's bytes, one character each. */
export type MultihashKey = string & { readonly brand: 'multihash' }

export type CidFault = 'bad-cid' | 'cid-too-long' | 'identity-cid'

export interface ParsedCid {
  readonly key: CidKey
  readonly multihash: MultihashKey
  readonly codec: number
  readonly hashCode: number
  readonly digestLength: number
}

export const codecs = { raw: 0x55, dagPb: 0x70, dagCbor: 0x71, dagJson: 0x0129 } as const

const sha256Code = 0x12
const sha256Header = '\x12\x20'
const identityCode = 0
/** A shorter digest can be forged; boxo's verifcid refuses it too. */
const minDigestBytes = 20

/** Returns the CID that `bytes` are, or why they are none that can be served. Never throws. */
export function parseCid(bytes: Uint8Array): ParsedCid | CidFault {
  if (bytes.length > maxCidBytes) return 'cid-too-long'
  if (bytes.length === 34 && bytes[0] === sha256Code && bytes[1] === 32) {
    const key = toKey(bytes)
    return {
      key: key as CidKey,
      multihash: key as unknown as MultihashKey,
      codec: codecs.dagPb,
      hashCode: sha256Code,
      digestLength: 32,
    }
  }
  const cursor: Cursor = { at: 0 }
  if (readVarint(bytes, cursor, bytes.length) !== 1) return 'bad-cid'
  const codec = readVarint(bytes, cursor, bytes.length)
  const multihashAt = cursor.at
  const hashCode = readVarint(bytes, cursor, bytes.length)
  const digestLength = readVarint(bytes, cursor, bytes.length)
  if (codec < 0 || hashCode < 0 || digestLength < 0) return 'bad-cid'
  // A varint longer than it must be is no CID for go-cid, and one such CID costs the message it is in.
  const headLength = 1 + varintLength(codec) + varintLength(hashCode) + varintLength(digestLength)
  if (cursor.at !== headLength) return 'bad-cid'
  if (cursor.at + digestLength !== bytes.length) return 'bad-cid'
  if (hashCode === identityCode) return 'identity-cid'
  if (digestLength < minDigestBytes) return 'bad-cid'
  const key = toKey(bytes)
  return {
    key: key as CidKey,
    multihash: key.slice(multihashAt) as MultihashKey,
    codec,
    hashCode,
    digestLength,
  }
}

/** Returns what comes before the digest in `cid`: the prefix that a Bitswap 1.1 block carries. */
export function prefixOf(cid: CidKey, multihash: MultihashKey): string {
  if (cid.length === multihash.length) return `\x00\x70${sha256Header}`
  const head = cid.length - multihash.length
  return cid.slice(0, head + multihashHeaderLength(multihash))
}

/** What a received block says of its CID: all but the digest. */
export interface Prefix {
  readonly codec: number
  readonly hashCode: number
  readonly digestLength: number
}

/** The prefix that every Bitswap 1.0 block has, unsaid. */
export const bareBlockPrefix: Prefix = { codec: codecs.dagPb, hashCode: sha256Code, digestLength: 32 }

/** Returns the prefix in `bytes`, or undefined when it is none. */
export function parsePrefix(bytes: Uint8Array): Prefix | undefined {
  const cursor: Cursor = { at: 0 }
  const version = readVarint(bytes, cursor, bytes.length)
  const codec = readVarint(bytes, cursor, bytes.length)
  const hashCode = readVarint(bytes, cursor, bytes.length)
  const digestLength = readVarint(bytes, cursor, bytes.length)
  if (version < 0 || version > 1 || codec < 0 || hashCode < 0 || digestLength < minDigestBytes)
    return undefined
  if (cursor.at !== bytes.length) return undefined
  return { codec, hashCode, digestLength }
}

/** Returns the multihash of a digest (one character per byte), cut to `length` if that is shorter. */
export function multihashKey(hashCode: number, digest: string, length: number): MultihashKey | undefined {
  if (length > digest.length) return undefined
  const cut = length === digest.length ? digest : digest.slice(0, length)
  if (hashCode === sha256Code && length === 32) return `${sha256Header}${cut}` as MultihashKey
  const header = new Uint8Array(varintLength(hashCode) + varintLength(length))
  writeVarint(header, writeVarint(header, 0, hashCode), length)
  return `${toKey(header)}${cut}` as MultihashKey
}

function multihashHeaderLength(multihash: MultihashKey): number {
  let at = 0
  for (let varints = 0; varints < 2; varints++) {
    while (multihash.charCodeAt(at) >= 0x80) at++
    at++
  }
  return at
}
