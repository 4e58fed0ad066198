import { about, type Finding } from '#src/cli/doctor/finding.ts'

/** A certificate of the TLS port: what it is for and how long it holds, or why it cannot be used. */
export type CertificateFacts =
  | { readonly certFile: string; readonly names: readonly string[]; readonly endsInMs: number }
  | { readonly certFile: string; readonly fault: string; readonly kind: string }

const dayMs = 24 * 3_600_000
/** Whoever renews does so a month before the end. */
const lateDays = 14

export function judgeCertificate(facts: CertificateFacts): Finding {
  const { ok, warn, fail } = about(`certificate ${facts.certFile}`)
  const renew = 'certbot renew # or whatever renews it here; the running edge takes it by itself'
  if ('fault' in facts)
    return fail(
      facts.fault,
      facts.kind === 'expired'
        ? renew
        : `openssl x509 -noout -subject -dates -ext subjectAltName -in ${facts.certFile}`,
    )
  const days = Math.floor(facts.endsInMs / dayMs)
  const text = `holds for ${days} days more, for ${facts.names.join(', ') || 'no name'}`
  if (facts.names.every((name) => name.includes('*')))
    return warn(`${text}: no plain name to announce`, 'KITSUNE_ANNOUNCE=/dns4/NAME/tcp/443/wss')
  return days < lateDays ? warn(text, renew) : ok(text)
}
