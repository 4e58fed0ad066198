/**
 * The forms in which private keys come: libp2p protobuf (raw or base64), the config file of a Kubo node, and
 * PEM (PKCS#8). Each is told apart by its content, never by a file name. PEM is read by `util/der`: the
 * TLS libraries of some runtimes do not know secp256k1. Nothing is kept.
 */
import {
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyFromRaw,
  privateKeyToProtobuf,
} from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { type DerValue, derValues } from '#src/util/der.ts'
import { KitsuneError } from '#src/util/errors.ts'

const expected =
  'Expected is a libp2p private key (protobuf, raw or in base64), the config file of a Kubo node, or PEM (PKCS#8).'
const keyTypes: readonly string[] = ['Ed25519', 'RSA', 'secp256k1']

/** DER of the object identifiers of the key types, as they stand in PKCS#8. */
const oids: Readonly<Record<string, 'RSA' | 'Ed25519' | 'EC' | 'secp256k1'>> = {
  '2a864886f70d010101': 'RSA',
  '2b6570': 'Ed25519',
  '2a8648ce3d0201': 'EC',
  '2b8104000a': 'secp256k1',
}

/** Causes are left out on purpose: parsers like to quote what they read, and this is a secret. */
function unreadable(reason: string): KitsuneError {
  return new KitsuneError('KEY_UNREADABLE', 'The private key cannot be read', {
    facts: { reason, hint: expected },
  })
}

/**
 * Returns the private key in `bytes`, whichever of the known forms it has. It has signed and verified something,
 * so that a damaged key is found now and not in the first handshake.
 */
export async function parseKey(bytes: Uint8Array): Promise<PrivateKey> {
  if (bytes.byteLength === 0) throw unreadable('it is empty')
  const text = new TextDecoder('utf-8', { fatal: false }).decode(bytes).trim()
  if (text === '') throw unreadable('it is empty')
  const key = await (text.startsWith('{')
    ? fromKubo(text)
    : text.includes('-----BEGIN')
      ? fromPem(text)
      : fromProtobuf(/^[A-Za-z0-9+/_=\s-]+$/.test(text) ? Buffer.from(text, 'base64') : bytes))
  if (!keyTypes.includes(key.type)) throw unreadable(`keys of type ${key.type} are not supported`)
  await prove(key)
  return key
}

/** Returns the key as base64 of its libp2p protobuf: what files of ours, `KITSUNE_KEY` and Kubo's config hold. */
export function keyToBase64(key: PrivateKey): string {
  return Buffer.from(privateKeyToProtobuf(key)).toString('base64')
}

async function prove(key: PrivateKey): Promise<void> {
  const message = new TextEncoder().encode('kitsune')
  let right = false
  try {
    right = await key.publicKey.verify(message, await key.sign(message))
  } catch {
    throw unreadable('it cannot sign')
  }
  if (!right) throw unreadable('its private and public parts do not belong together')
}

function fromProtobuf(bytes: Uint8Array): PrivateKey {
  try {
    return privateKeyFromProtobuf(bytes)
  } catch {
    throw unreadable('it is no libp2p private key')
  }
}

function fromKubo(text: string): PrivateKey {
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch {
    throw unreadable('it begins like JSON and is not JSON')
  }
  const encoded = (config as { Identity?: { PrivKey?: unknown } }).Identity?.PrivKey
  if (typeof encoded !== 'string' || encoded === '') {
    throw unreadable(
      'it is JSON without Identity.PrivKey; "ipfs config show" leaves the key out, the file has it',
    )
  }
  return fromProtobuf(Buffer.from(encoded, 'base64'))
}

async function fromPem(text: string): Promise<PrivateKey> {
  const match = /-----BEGIN ([A-Z0-9 ]+)-----([\sA-Za-z0-9+/=]+)-----END \1-----/.exec(text)
  const label = match?.[1] ?? /-----BEGIN ([A-Z0-9 ]+)-----/.exec(text)?.[1] ?? 'unknown'
  if (label.includes('ENCRYPTED'))
    throw unreadable('it is encrypted; decrypt it with: openssl pkcs8 -in FILE')
  if (label !== 'PRIVATE KEY' && label !== 'RSA PRIVATE KEY') {
    throw unreadable(`it is PEM of kind "${label}"; convert it with: openssl pkcs8 -topk8 -nocrypt -in FILE`)
  }
  if (match === null) throw unreadable('its PEM is cut off or has stray characters')
  const der = Buffer.from(match[2] ?? '', 'base64')
  try {
    return await (label === 'RSA PRIVATE KEY' ? privateKeyFromRaw(der) : fromPkcs8(der))
  } catch (error) {
    if (error instanceof KitsuneError) throw error
    throw unreadable('its PEM holds no key of a known kind')
  }
}

/** RFC 5208: SEQUENCE { version, SEQUENCE { algorithm, parameters }, OCTET STRING { key } }. */
async function fromPkcs8(der: Uint8Array): Promise<PrivateKey> {
  const [, algorithm, wrapped] = derChildren(derChildren(der)[0])
  const [algorithmOid, curveOid] = derChildren(algorithm).map((part) =>
    Buffer.from(part.content).toString('hex'),
  )
  const kind = oids[algorithmOid ?? '']
  if (wrapped === undefined) throw unreadable('its PEM is cut off')
  // RFC 8017: the content is the PKCS#1 key, which is what libp2p holds too.
  if (kind === 'RSA') return privateKeyFromRaw(wrapped.content)
  // RFC 8410: an OCTET STRING in the OCTET STRING, 32 bytes of seed.
  if (kind === 'Ed25519') return generateKeyPairFromSeed('Ed25519', exactly32(derChildren(wrapped)[0]))
  // RFC 5915: SEQUENCE { version, OCTET STRING { key }, … }.
  if (kind === 'EC' && oids[curveOid ?? ''] === 'secp256k1') {
    return privateKeyFromRaw(exactly32(derChildren(derChildren(wrapped)[0])[1]))
  }
  throw unreadable('its PEM holds a key of a kind that is neither RSA, Ed25519 nor secp256k1')
}

function exactly32(node: DerValue | undefined): Uint8Array {
  if (node?.content.byteLength !== 32) throw unreadable('its PEM has a key of the wrong length')
  return node.content
}

/** Returns the DER values that stand one after the other in `parent`. */
function derChildren(parent: Uint8Array | DerValue | undefined): DerValue[] {
  try {
    return derValues(parent instanceof Uint8Array ? parent : (parent?.content ?? new Uint8Array()))
  } catch {
    throw unreadable('its PEM is cut off, or no DER')
  }
}
