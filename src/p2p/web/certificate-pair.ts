/**
 * A certificate and its private key, as two PEM files hold them: read, judged, and made ready for handshakes.
 */

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { describeError, KitsuneError } from '#src/util/errors.ts'

export interface CertificatePair {
  /** Those of its subject alternative names that are of hosts, in lower case: `example.net`, `*.example.net`, `192.0.2.1`. */
  readonly names: readonly string[]
  /** Both in ms since 1970. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** Of both texts: equal ones are the same pair, with the same chain. */
  readonly digest: string
  /** With the chain and the key; offers TLS 1.2 and 1.3. */
  readonly context: SecureContext
}

/** Why a pair is not taken; the text says what to do. */
export const pairFaults = {
  'no-certificate': 'holds no certificate in PEM',
  'no-key': 'holds no private key in PEM that can be read without a passphrase',
  mismatch:
    'is not the key of the certificate; the certificate itself must come first in its file, its chain behind it',
  expired: 'is expired',
  'not-yet-valid': 'is not valid yet; is the clock right?',
  unusable: 'cannot be used for TLS',
} as const
export type PairFault = keyof typeof pairFaults

/** What TLS 1.2 may use: forward secrecy and AEAD. TLS 1.3 has nothing else. */
const ciphers = ['ECDSA', 'RSA']
  .flatMap((kind) =>
    ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map((aead) => `ECDHE-${kind}-${aead}`),
  )
  .join(':')

/**
 * Returns the pair that two texts hold. Throws `TLS_CERTIFICATE` with `{ fault, reason }` where they do not belong
 * together, or are of no use at `nowMs`.
 */
export function readCertificatePair(cert: string, key: string, nowMs: number): CertificatePair {
  const leaf = attempt('no-certificate', () => new X509Certificate(cert))
  const privateKey = attempt('no-key', () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey)) throw fault('mismatch')
  const [notBeforeMs, notAfterMs] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]
  if (notAfterMs <= nowMs) throw fault('expired', leaf.validTo)
  if (notBeforeMs > nowMs) throw fault('not-yet-valid', leaf.validFrom)
  const context = attempt('unusable', () =>
    createSecureContext({ cert, key, minVersion: 'TLSv1.2', ciphers }),
  )
  const digest = createHash('sha256').update(cert).update(key).digest('hex')
  return { names: namesOf(leaf), notBeforeMs, notAfterMs, digest, context }
}

function attempt<T>(kind: PairFault, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    throw fault(kind, describeError(cause), cause)
  }
}

function fault(kind: PairFault, detail?: string, cause?: unknown): KitsuneError {
  const reason = detail === undefined ? pairFaults[kind] : `${pairFaults[kind]} (${detail})`
  return new KitsuneError('TLS_CERTIFICATE', 'A certificate and its key cannot be used', {
    facts: { fault: kind, reason },
    cause,
  })
}

/** Names that hold what the list's own form cannot are in quotes; no host has such a name. */
function namesOf(leaf: X509Certificate): string[] {
  const names = (leaf.subjectAltName ?? '')
    .split(', ')
    .map((entry) => /^(?:DNS|IP Address):([^"\s]+)$/.exec(entry)?.[1]?.toLowerCase())
  return [...new Set(names.filter((name) => name !== undefined))]
}
