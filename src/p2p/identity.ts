/**
 * Who the edge is. The public identity is a private key that an operator brings or that is made once and kept;
 * the lanes' private identities follow from a stored seed, so that backends see the same peers after a restart.
 * Keys are read at start and held for the life of the process; nothing grows.
 */
import { createPrivateKey, createPublicKey, hkdfSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { base36 } from 'multiformats/bases/base36'
import type { Config } from '#src/config/config.ts'
import { keyToBase64, parseKey } from '#src/p2p/key-format.ts'
import { createPrivateFile, readPrivateFile } from '#src/p2p/private-file.ts'
import { KitsuneError } from '#src/util/errors.ts'

const seedBytes = 32

/** Key types by the name that people write. */
export const keyTypes = ['ed25519', 'rsa', 'secp256k1'] as const
export type KeyType = (typeof keyTypes)[number]

/** The identity that clients dial. */
export interface Identity {
  readonly privateKey: PrivateKey
  readonly peerId: PeerId
  /** The path of the key file, or the name of the variable that held the key. */
  readonly origin: string
  /** It was made just now. */
  readonly created: boolean
  /** What the operator should be told, one sentence each. */
  readonly warnings: readonly string[]
}

/** Returns the identity that the configuration names, making it where the configuration says so. */
export async function loadIdentity(source: Config['identity']): Promise<Identity> {
  if (source.kind === 'inline') {
    return identity(await parseFrom('KITSUNE_KEY', new TextEncoder().encode(source.value)), 'KITSUNE_KEY')
  }
  const { path } = source
  const stored = await readIdentity(path)
  if (stored !== undefined) return stored
  if (source.kind === 'file') {
    throw new KitsuneError('KEY_FILE_MISSING', 'There is no key file', {
      facts: {
        path,
        hint: 'Make one with "kitsune key new --out FILE", or set KITSUNE_KEY_FILE to where it is.',
      },
    })
  }
  const key = await createKey('ed25519')
  if (await createPrivateFile(path, encode(key))) return identity(key, path, { created: true })
  // Another process made one in the meantime: that one holds.
  const other = await readIdentity(path)
  if (other === undefined)
    throw new KitsuneError('KEY_FILE_MISSING', 'The key file vanished', { facts: { path } })
  return other
}

/** Returns the identity in a file, or undefined when there is no file. */
export async function readIdentity(path: string): Promise<Identity | undefined> {
  const file = await readPrivateFile(path)
  if (file === undefined) return undefined
  return identity(await parseFrom(path, file.bytes), path, { warnings: file.warnings })
}

/** Returns a new key: Ed25519, RSA with 2048 bits, or secp256k1. */
export async function createKey(type: KeyType): Promise<PrivateKey> {
  if (type === 'rsa') return generateKeyPair('RSA', 2048)
  return type === 'secp256k1' ? generateKeyPair('secp256k1') : generateKeyPair('Ed25519')
}

/** Writes a key to a file of mode 0600 that must not exist yet. */
export async function saveKey(path: string, key: PrivateKey): Promise<void> {
  if (await createPrivateFile(path, encode(key))) return
  throw new KitsuneError('KEY_FILE_EXISTS', 'There is a file already, and keys are never overwritten', {
    facts: { path, hint: 'Choose another file with --out, or move this one away first.' },
  })
}

/** Returns a peer ID as a CIDv1 in base36 (`k51…`), the form that host names can hold. */
export function peerIdToBase36(peerId: PeerId): string {
  return peerId.toCID().toString(base36)
}

/** Returns the 32 bytes from which the lanes' keys follow, making them where there are none yet. */
export async function loadLaneSeed(dataDir: string): Promise<Uint8Array> {
  const path = join(dataDir, 'lanes.seed')
  let file = await readPrivateFile(path)
  if (file === undefined) {
    await createPrivateFile(path, randomBytes(seedBytes))
    file = await readPrivateFile(path)
  }
  if (file?.bytes.byteLength === seedBytes) return file.bytes
  throw new KitsuneError('LANE_SEED_DAMAGED', 'The seed of the lanes is damaged', {
    facts: {
      path,
      bytes: file?.bytes.byteLength ?? 0,
      hint: 'Remove the file: a new one is made at the next start.',
    },
  })
}

/** Returns the private identity of one lane; the same seed and lane always give the same one. */
export async function laneKey(seed: Uint8Array, lane: number): Promise<Ed25519PrivateKey> {
  const derived = hkdfSync('sha256', seed, new Uint8Array(), `kitsune/lane/${lane}`, 32)
  const secret = Buffer.from(derived)
  // The library would multiply in JavaScript, which has to be compiled first: 40 ms of every start.
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, secret]), format: 'der', type: 'pkcs8' })
  const point = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
  return privateKeyFromRaw(Buffer.concat([secret, point])) as Ed25519PrivateKey
}

/** What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7). */
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')

function encode(key: PrivateKey): Uint8Array {
  return new TextEncoder().encode(`${keyToBase64(key)}\n`)
}

async function parseFrom(origin: string, bytes: Uint8Array): Promise<PrivateKey> {
  try {
    return await parseKey(bytes)
  } catch (error) {
    if (!(error instanceof KitsuneError)) throw error
    const { code, message, facts } = error
    throw new KitsuneError(code, message, { facts: { origin, ...facts } })
  }
}

function identity(
  privateKey: PrivateKey,
  origin: string,
  rest: { created?: boolean; warnings?: readonly string[] } = {},
): Identity {
  const peerId = peerIdFromPrivateKey(privateKey)
  return { privateKey, peerId, origin, created: rest.created ?? false, warnings: rest.warnings ?? [] }
}
