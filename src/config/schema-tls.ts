import { isIP } from 'node:net'
import { type HostPort, parseAdminListen } from '#src/config/addresses.ts'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import { list, one, variable } from '#src/config/variable.ts'

/** Returns a path; it is looked at when it is needed. */
function parsePath(text: string): Parsed<string> {
  return text.includes('\0') ? refused('has a NUL in it, which no path can have') : taken(text)
}

/** Returns `host:port` as the multiaddr of a door: /ip4/0.0.0.0/tcp/80. */
export function parseHttpListen(text: string): Parsed<string> {
  const parsed = parseAdminListen(text)
  if (!parsed.ok) return parsed
  // The admin API may be elsewhere than on a port.
  const place = parsed.value as Partial<HostPort> | undefined
  if (place?.host === undefined || isIP(place.host) === 0)
    return refused('is not address:port, such as "0.0.0.0:80" or "[::]:80"')
  return taken(`/ip${isIP(place.host)}/${place.host}/tcp/${place.port}`)
}

/** Certificates of the web port, and the port of plain HTTP beside it. */
export const tlsVariables = {
  tlsCertFile: variable({
    name: 'KITSUNE_TLS_CERT_FILE',
    section: 'Addresses',
    description:
      'Certificates for /tls/ws: PEM files with the chain, the certificate itself first. Several, comma-separated, are chosen by the name that the client asks for; the first one is for everybody else. They are taken anew when they change.',
    allowed: 'paths, comma-separated',
    default: 'none; needed by /tls/ws',
    example: '/etc/letsencrypt/live/node0.example.net/fullchain.pem',
    schema: list(parsePath),
  }),
  tlsKeyFile: variable({
    name: 'KITSUNE_TLS_KEY_FILE',
    section: 'Addresses',
    description:
      'The private keys of KITSUNE_TLS_CERT_FILE, in the same order: PEM files without a passphrase.',
    allowed: 'paths, comma-separated, as many as in KITSUNE_TLS_CERT_FILE',
    default: 'none; needed by /tls/ws',
    example: '/etc/letsencrypt/live/node0.example.net/privkey.pem',
    schema: list(parsePath),
  }),
  httpListen: variable({
    name: 'KITSUNE_HTTP_LISTEN',
    section: 'Addresses',
    description:
      'Where plain HTTP is answered: with a redirect to https, the files of KITSUNE_ACME_WEBROOT, and /healthz.',
    allowed: 'address:port, comma-separated',
    default: 'none',
    example: '0.0.0.0:80,[::]:80',
    schema: list(parseHttpListen),
  }),
  acmeWebroot: variable({
    name: 'KITSUNE_ACME_WEBROOT',
    section: 'Addresses',
    description:
      'Directory into which an ACME client (certbot --webroot, acme.sh) puts its http-01 tokens; KITSUNE_HTTP_LISTEN answers /.well-known/acme-challenge/… from the files of that path in it.',
    allowed: 'a path of a directory',
    default: 'none',
    example: '/var/www/acme',
    schema: one(parsePath),
  }),
} as const
