/**
 * One certificate of a WebTransport door. Browsers take it by its hash, without an authority, if its key is on P-256
 * and it is valid for 14 days at most (W3C WebTransport, "serverCertificateHashes"). Pure but for making a key.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { base64url } from 'multiformats/bases/base64'
import { create } from 'multiformats/hashes/digest'

const dayMs = 24 * 60 * 60_000
/** How long each is valid. */
export const validMs = 14 * dayMs
/** How wrong the clock of a client may be: nothing is served that has been valid, or will be, for less. */
export const clockSkewMs = 60 * 60_000

export interface Certificate {
  readonly startMs: number
  readonly endMs: number
  /** The multihash (sha2-256) of its DER. */
  readonly hash: Uint8Array
  /** `hash` as it stands in multiaddrs behind /certhash/. */
  readonly hashText: string
}

/** Returns a new one with its key, in PEM, that is valid from `startMs` on (whole seconds) for `forMs`. */
export async function makeCertificate(startMs: number, forMs = validMs): Promise<string> {
  // First: who reads certificates in the library needs it, wherever a bundle puts it.
  await import('reflect-metadata')
  const { BasicConstraintsExtension, PemConverter, X509CertificateGenerator } = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair
  const made = {
    name: 'CN=libp2p.io',
    notBefore: new Date(startMs),
    // Its last second counts as well.
    notAfter: new Date(startMs + forMs - 1_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new BasicConstraintsExtension(false)],
  }
  // By the runtime's own crypto, whatever others have told the library to use.
  const certificate = await X509CertificateGenerator.createSelfSigned(made, crypto)
  const key = PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return `${certificate.toString('pem')}\n${key}\n`
}

/** Reads what `makeCertificate` made; throws where it is something else. */
export async function readCertificate(pem: string, longestMs = validMs): Promise<Certificate> {
  const certificate = new X509Certificate(pem)
  if (!certificate.checkPrivateKey(createPrivateKey(pem)))
    throw new Error('the key is not that of the certificate')
  const startMs = Date.parse(certificate.validFrom)
  const endMs = Date.parse(certificate.validTo)
  if (!(endMs - startMs <= longestMs)) throw new Error('it is valid for too long, or nobody knows how long')
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(certificate.raw)))
  const hash = create(0x12, digest).bytes
  return { startMs, endMs, hash, hashText: base64url.encode(hash) }
}
