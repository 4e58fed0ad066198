import { parseCidr } from '#src/config/cidr.ts'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import { list, one, variable } from '#src/config/variable.ts'

/** A kind of listener that can stand behind the PROXY protocol. */
export type ProxiedListener = 'tcp' | 'ws'

/** Returns the listeners that a PROXY header is due on. */
export function parseProxyProtocol(text: string): Parsed<readonly ProxiedListener[]> {
  const words = text.split(',').map((word) => word.trim().toLowerCase())
  if (words.length === 1 && words[0] === 'off') return taken([])
  if (words.length === 1 && words[0] === 'on') return taken(['tcp', 'ws'])
  const named = (['tcp', 'ws'] as const).filter((listener) => words.includes(listener))
  // As many as there are words, so each word was one of them, and once.
  return named.length === words.length ? taken(named) : refused('is none of off, on, tcp, ws and tcp,ws')
}

/** Who stands in front of the edge, and how it tells who is calling. */
export const proxyVariables = {
  trustedProxies: variable({
    name: 'KITSUNE_TRUSTED_PROXIES',
    section: 'Addresses',
    description:
      'Load balancers in front, comma-separated: only these are believed who is calling, by X-Forwarded-For or Forwarded on the web ports and by the PROXY protocol.',
    allowed: 'IP addresses and CIDRs, comma-separated',
    default: 'none; everybody is who the socket says',
    example: '10.0.0.5,10.1.0.0/24,fd00:1::/64',
    schema: list(parseCidr),
  }),
  proxyProtocol: variable({
    name: 'KITSUNE_PROXY_PROTOCOL',
    section: 'Addresses',
    description:
      'Listeners on which every connection begins with a PROXY protocol header (version 1 or 2) from KITSUNE_TRUSTED_PROXIES; any other is closed. ws means every web port: /ws, /tls/ws and KITSUNE_HTTP_LISTEN.',
    allowed: 'off, on (every listener), tcp, ws or tcp,ws',
    default: 'off',
    example: 'tcp,ws',
    schema: one(parseProxyProtocol),
  }),
} as const
