/** What Bitswap is called on the wire, and how large its parts may be. */

/** Protocol ids, the richest first: the order in which they are offered. */
export const protocols = [
  '/ipfs/bitswap/1.2.0',
  '/ipfs/bitswap/1.1.0',
  '/ipfs/bitswap/1.0.0',
  '/ipfs/bitswap',
] as const

/**
 * What a negotiated protocol can carry. `1.0`: bare block bytes, so every block looks like a CIDv0 of
 * dag-pb. `1.1`: blocks with their CID's prefix. `1.2`: block presences (HAVE, DONT_HAVE) as well.
 */
export type Version = '1.0' | '1.1' | '1.2'

/** Returns what a negotiated protocol id can carry. */
export function versionOf(protocol: string): Version {
  if (protocol.endsWith('/1.2.0')) return '1.2'
  return protocol.endsWith('/1.1.0') ? '1.1' : '1.0'
}

/**
 * Largest message taken. boxo caps its own at 4 MiB; Helia was seen to send slightly more than it means
 * to, so there is some slack.
 */
export const maxMessageBytes = 5 * 1024 * 1024

/** Largest block, as in boxo and the Bitswap specification. */
export const maxBlockBytes = 2 * 1024 * 1024

/** Longest CID that boxo's server answers. */
export const maxCidBytes = 168

/** A want-have is answered with the block itself up to this size (boxo's default). */
export const smallBlockBytes = 1024

/**
 * Blocks are put in one message until it is this large. boxo aims for 16 KiB; more per message costs less
 * per block, and is still far below what any client refuses.
 */
export const targetMessageBytes = 128 * 1024

/** Wants and cancels in one message to a backend: Helia answers at most 1,024 and drops the rest silently. */
export const maxEntriesPerMessage = 512
