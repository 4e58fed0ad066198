/**
 * The certificate of the WebRTC-direct door. Its hash is part of the address that clients have, so it is made once, for
 * many years, and kept; who has the address pins it, so nobody looks at its dates but us.
 */

import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Keeping } from '#src/p2p/door/front-doors.ts'
import { createPrivateFile, readPrivateFile } from '#src/p2p/private-file.ts'
import { makeCertificate, readCertificate } from '#src/p2p/webtransport/certificate.ts'
import { KitsuneError } from '#src/util/errors.ts'

const yearMs = 365 * 24 * 60 * 60_000
const validMs = 10 * yearMs
/** With less left than this it is replaced at the next start. */
const renewMs = yearMs

export interface WebRtcCertificate {
  /** Both in PEM. */
  readonly certificate: string
  readonly key: string
  /** The multihash (sha2-256) of the certificate, and how it stands in multiaddrs behind /certhash/. */
  readonly hash: Uint8Array
  readonly hashText: string
}

/** Returns the one that is kept in the data directory, made where there is none. Throws where it is broken. */
export async function keptCertificate({ dataDir, warn }: Keeping, nowMs: number): Promise<WebRtcCertificate> {
  const path = join(dataDir, 'webrtc-direct.pem')
  const kept = await read(path, warn)
  if (kept !== undefined && kept.endMs - nowMs > renewMs) return kept
  if (kept !== undefined) {
    const old = `${path}.${new Date(nowMs).getFullYear()}`
    warn('The certificate of the WebRTC-direct door is renewed; addresses with its hash lead nowhere now', {
      path,
      kept: old,
    })
    await rename(path, old)
  }
  const startMs = Math.floor(nowMs / 1_000) * 1_000 - 24 * 60 * 60_000
  await createPrivateFile(path, Buffer.from(await makeCertificate(startMs, validMs)))
  // Another process may have made one in the meantime: that one holds.
  const made = await read(path, warn)
  if (made === undefined) throw new Error('the certificate of the WebRTC-direct door vanished')
  return made
}

async function read(
  path: string,
  warn: Keeping['warn'],
): Promise<(WebRtcCertificate & { readonly endMs: number }) | undefined> {
  const file = await readPrivateFile(path)
  if (file === undefined) return undefined
  for (const warning of file.warnings) warn(warning, {})
  const pem = Buffer.from(file.bytes).toString()
  try {
    const [certificate, key] = ['CERTIFICATE', 'PRIVATE KEY'].map((label) => block(pem, label))
    if (certificate === undefined || key === undefined) throw new Error('a certificate or its key is missing')
    return { ...(await readCertificate(pem, validMs)), certificate, key }
  } catch (error) {
    throw new KitsuneError(
      'WEBRTC_CERTIFICATE_BROKEN',
      'The certificate of the WebRTC-direct door is broken',
      {
        facts: {
          path,
          hint: 'Put its backup back. Or move it away: a new one is made, and clients need the new address.',
        },
        cause: error,
      },
    )
  }
}

function block(pem: string, label: string): string | undefined {
  return new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----\n?`).exec(pem)?.[0]
}
