/**
 * Certificates for tests, made in this process: an authority, and what it signs, valid when a test likes.
 */
import 'reflect-metadata'
import { writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

const keys = { name: 'ECDSA', namedCurve: 'P-256' }
const signing = { name: 'ECDSA', hash: 'SHA-256' }
const dayMs = 24 * 3_600_000

/** A certificate, PEM; `cert` has the authority's behind it. */
export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

export interface TestAuthority {
  /** Its own certificate, PEM: what clients are told to trust. */
  readonly cert: string
  /** Signs a certificate for hosts, names or IP addresses; valid from an hour ago for 30 days. */
  issue(names: readonly string[], valid?: { from?: Date; until?: Date }): Promise<TestCertificate>
}

let serial = 1

/** Makes an authority. */
export async function makeAuthority(): Promise<TestAuthority> {
  const pair = await crypto.subtle.generateKey(keys, true, ['sign', 'verify'])
  // The runtime's crypto by name: libraries that some tests import replace what x509 takes by itself, and need that.
  const authority = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: String(serial++).padStart(2, '0'),
      name: 'CN=Kitsune tests',
      notBefore: new Date(Date.now() - dayMs),
      notAfter: new Date(Date.now() + 365 * dayMs),
      keys: pair,
      signingAlgorithm: signing,
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    },
    crypto,
  )
  const own = authority.toString('pem')
  return {
    cert: own,
    async issue(names, valid = {}) {
      const leaf = await crypto.subtle.generateKey(keys, true, ['sign', 'verify'])
      const certificate = await X509CertificateGenerator.create(
        {
          serialNumber: String(serial++).padStart(4, '0'),
          subject: `CN=${names[0]}`,
          issuer: authority.subject,
          notBefore: valid.from ?? new Date(Date.now() - 3_600_000),
          notAfter: valid.until ?? new Date(Date.now() + 30 * dayMs),
          publicKey: leaf.publicKey,
          signingKey: pair.privateKey,
          signingAlgorithm: signing,
          extensions: [
            new SubjectAlternativeNameExtension(
              names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
            ),
          ],
        },
        crypto,
      )
      const key = await crypto.subtle.exportKey('pkcs8', leaf.privateKey)
      return {
        cert: `${certificate.toString('pem')}\n${own}\n`,
        key: `${PemConverter.encode(key, 'PRIVATE KEY')}\n`,
      }
    },
  }
}

/** Writes a certificate as `<name>.crt` and `<name>.key`, in place, and returns where. */
export async function writeCertificate(
  directory: string,
  name: string,
  { cert, key }: TestCertificate,
): Promise<{ certFile: string; keyFile: string }> {
  const paths = { certFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) }
  await writeFile(paths.certFile, cert)
  await writeFile(paths.keyFile, key, { mode: 0o600 })
  return paths
}
