/**
 * The certificates by which libp2p's peers prove over TLS who they are (specs/tls/tls.md): signed by themselves, with
 * a key of their own, and in an extension the peer's key with its signature of that key. Written and read here: the
 * library for it takes 2 ms per connection, and as much code as the rest of the edge's handshake.
 *
 * Keeps nothing.
 */

import { createSign, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { publicKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { type DerValue, der, derValues } from '#src/util/der.ts'

/** Object identifiers, in DER: what RFC 5758, RFC 5280 and libp2p's specification have numbered. */
const ecdsaWithSha256 = Buffer.from('06082a8648ce3d040302', 'hex')
const serialNumberName = Buffer.from('0603550405', 'hex')
const peerExtension = Buffer.from('060a2b0601040183a25a0101', 'hex')
/** What all extensions of RFC 5280 begin with: those are understood, or mean nothing between peers. */
const ofRfc5280 = Buffer.from('0603551d', 'hex')

const prefix = Buffer.from('libp2p-tls-handshake:')
const hourMs = 3_600_000

/** A certificate and its private key, in PEM. */
export interface PeerCertificate {
  readonly cert: string
  readonly key: string
}

/** Returns a certificate for the peer whose key this is. It is valid from an hour ago, since clocks differ, for 50 years. */
export async function makeCertificate(peer: PrivateKey, nowMs = Date.now()): Promise<PeerCertificate> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const signature = await peer.sign(Buffer.concat([prefix, spki]))
  const proof = sequence(octets(publicKeyToProtobuf(peer.publicKey)), octets(signature))
  // Positive, and never beginning with a zero that would not belong there.
  const serial = randomBytes(8)
  serial[0] = 0x40 | ((serial[0] as number) & 0x3f)
  // Some implementations refuse an empty name.
  const name = sequence(der(0x31, sequence(serialNumberName, der(0x13, Buffer.from(serial.toString('hex'))))))
  const algorithm = sequence(ecdsaWithSha256)
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, serial),
    algorithm,
    name,
    sequence(time(nowMs - hourMs), time(nowMs + 50 * 365 * 24 * hourMs)),
    name,
    spki,
    der(0xa3, sequence(sequence(peerExtension, octets(proof)))),
  )
  const signed = createSign('sha256').update(body).sign(privateKey)
  const whole = sequence(body, algorithm, der(0x03, Uint8Array.of(0), signed))
  const lines =
    Buffer.from(whole)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/**
 * Returns the peer whom a certificate, in DER, proves: valid now, signed by itself, its key signed by the peer's. That
 * the other side has the certificate's key was part of the handshake. Throws with what is wrong.
 */
export async function provenPeer(certificate: Uint8Array | undefined, nowMs = Date.now()): Promise<PeerId> {
  if (certificate === undefined) throw new Error('there is no certificate')
  const read = new X509Certificate(certificate)
  if (Date.parse(read.validFrom) > nowMs) throw new Error('the certificate is not valid yet')
  if (Date.parse(read.validTo) < nowMs) throw new Error('the certificate has expired')
  if (!read.verify(read.publicKey)) throw new Error('the certificate is not signed by itself')
  const [key, signature] = derValues(unwrap(extensionOf(certificate)))
  if (key?.tag !== 0x04 || signature?.tag !== 0x04)
    throw new Error('the certificate has no proof of who it is')
  const spki = read.publicKey.export({ type: 'spki', format: 'der' })
  const publicKey = publicKeyFromProtobuf(key.content)
  const right = await publicKey.verify(Buffer.concat([prefix, spki]), signature.content)
  if (!right) throw new Error('the key of the certificate is signed by somebody else')
  return peerIdFromPublicKey(publicKey)
}

/** Returns what libp2p's extension holds. */
function extensionOf(certificate: Uint8Array): Uint8Array {
  const [body] = derValues(unwrap(certificate))
  const fields = body === undefined ? [] : derValues(body.content)
  const list = fields.find(({ tag }) => tag === 0xa3)
  const extensions =
    list === undefined ? [] : derValues(unwrap(list.content)).map(({ content }) => derValues(content))
  const found: DerValue[] = []
  for (const [id, ...rest] of extensions) {
    const value = rest.at(-1)
    if (id === undefined || value === undefined) throw new Error('the certificate has a broken extension')
    if (peerExtension.equals(id.whole)) found.push(value)
    else if (rest.length > 1 && rest[0]?.content[0] === 0xff && !isOfRfc5280(id.whole))
      throw new Error('the certificate has a critical extension that nobody knows')
  }
  const [only] = found
  if (only === undefined || found.length > 1) throw new Error('the certificate has no proof of who it is')
  return only.content
}

function isOfRfc5280(id: Uint8Array): boolean {
  return ofRfc5280.equals(id.subarray(0, ofRfc5280.length))
}

function unwrap(bytes: Uint8Array): Uint8Array {
  return derValues(bytes)[0]?.content ?? new Uint8Array()
}

function sequence(...values: readonly Uint8Array[]): Uint8Array {
  return der(0x30, ...values)
}

function octets(bytes: Uint8Array): Uint8Array {
  return der(0x04, bytes)
}

/** RFC 5280, 4.1.2.5: two digits of the year until 2049, four from then on. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-T:]|\.\d+/g, '')
  return digits < '2050' ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}
