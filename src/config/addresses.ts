import { BlockList, isIP } from 'node:net'
import { type Component, multiaddr } from '@multiformats/multiaddr'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import * as digests from 'multiformats/hashes/digest'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'

/*
 * Addresses of the environment: multiaddrs that are announced or dialled, and the host:port of the admin HTTP. Those
 * that are listened on have a file of their own (`listen.ts`).
 */

const libp2pKeyCodec = 0x72
const identityHash = 0x00
const sha256Hash = 0x12
export const hostNames = ['dns', 'dns4', 'dns6', 'dnsaddr']

/** Returns the parts of a multiaddr. An empty one is refused: `/` names no place. */
export function parseMultiaddr(text: string): Parsed<Component[]> {
  try {
    const components = multiaddr(text.trim()).getComponents()
    return components.length === 0 ? refused('is an empty multiaddr') : taken(components)
  } catch (error) {
    return refused(`is not a multiaddr (${error instanceof Error ? error.message : String(error)})`)
  }
}

/** Returns a peer ID in its base58 form, whether it came as `12D3Koo…`, `Qm…` or as a CID such as `k51…`. */
export function parsePeerId(text: string): Parsed<string> {
  try {
    if (text.startsWith('1') || text.startsWith('Qm')) {
      const digest = digests.decode(base58btc.baseDecode(text))
      if (digest.code === identityHash || digest.code === sha256Hash) return taken(text)
    } else {
      const cid = text.startsWith('k') ? CID.parse(text, base36) : CID.parse(text)
      if (cid.code === libp2pKeyCodec) return taken(base58btc.baseEncode(cid.multihash.bytes))
    }
  } catch {
    // Falls through: whatever it is, it is no peer ID.
  }
  return refused(`has no peer ID where one is due: "${text}"`)
}

/** Returns a multiaddr from its parts. */
export function joined(components: readonly Component[]): string {
  return components
    .map(({ name, value }) => (value === undefined ? `/${name}` : `/${name}/${value}`))
    .join('')
}

/** Returns the names of the parts with slashes between them, such as `ip4/tcp/ws`. */
export function shape(components: readonly Component[]): string {
  return components.map(({ name }) => name).join('/')
}

function isUnspecified(host: string | undefined): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** Returns a multiaddr that clients may be told, with its peer ID, if any, in base58. */
export function parseAnnounce(text: string): Parsed<string> {
  const parsed = parseMultiaddr(text)
  if (!parsed.ok) return parsed
  const host = parsed.value[0]
  if (host === undefined || !['ip4', 'ip6', ...hostNames].includes(host.name)) {
    return refused('does not begin with a host (ip4, ip6, dns, dns4, dns6 or dnsaddr)')
  }
  if (isUnspecified(host.value)) return refused('is the unspecified address, which nobody can dial')
  const port = parsed.value.find(({ name }) => name === 'tcp' || name === 'udp')
  // What stands behind a dnsaddr, ports included, is in DNS.
  if (port === undefined && host.name === 'dnsaddr') return withPeerId(parsed.value, false)
  if (port === undefined) return refused('has no port (/tcp/… or /udp/…)')
  if (port.value === '0') return refused('has port 0, which nobody can dial')
  return withPeerId(parsed.value, false)
}

/** Returns a multiaddr of a backend: a host, a TCP port, and the peer ID that must answer there. */
export function parseBackendMultiaddr(text: string): Parsed<string> {
  const parsed = parseMultiaddr(text)
  if (!parsed.ok) return parsed
  const [host, port] = parsed.value
  if (!/^(ip4|ip6|dns|dns4|dns6)\/tcp(\/p2p)?$/.test(shape(parsed.value))) {
    return refused(`is ${shape(parsed.value)}; a backend is dialled by tcp: /ip4/…/tcp/…/p2p/…`)
  }
  if (isUnspecified(host?.value)) return refused('is the unspecified address, which nobody can dial')
  if (port?.value === '0') return refused('has port 0, which nobody can dial')
  return withPeerId(parsed.value, true)
}

function withPeerId(components: readonly Component[], required: boolean): Parsed<string> {
  const peers = components.filter(({ name }) => name === 'p2p')
  if (peers.length > 1) return refused('has more than one /p2p/ part')
  const last = components.at(-1)
  if (last?.name !== 'p2p') {
    if (peers.length > 0) return refused('has something after its /p2p/ part')
    return required
      ? refused('has no /p2p/ part; without it the backend could be anyone')
      : taken(joined(components))
  }
  const peerId = parsePeerId(last.value ?? '')
  return peerId.ok ? taken(`${joined(components.slice(0, -1))}/p2p/${peerId.value}`) : peerId
}

/** Returns the last peer ID in a multiaddr, as it is written there. */
export function peerIdOf(address: string): string | undefined {
  return /\/p2p\/([^/]+)$/.exec(address)?.[1]
}

/** A host and port of a listener. */
export interface HostPort {
  readonly host: string
  readonly port: number
  /** Default: tcp. */
  readonly protocol?: 'tcp' | 'udp'
}

/** Where the admin HTTP listens: a TCP port, or a socket in the file system. */
export type AdminListen = { readonly host: string; readonly port: number } | { readonly path: string }

/** What `sockaddr_un` holds on every system, its final zero left out: 104 bytes on those that have the least. */
const longestSocketPath = process.platform === 'linux' ? 107 : 103

/** Returns where the admin HTTP listens: "127.0.0.1:9090", "[::1]:9090", "unix:/run/kitsune/admin.sock", or undefined for "off". */
export function parseAdminListen(text: string): Parsed<AdminListen | undefined> {
  const trimmed = text.trim()
  if (trimmed.toLowerCase() === 'off') return taken(undefined)
  // As Docker and curl write it, or as a multiaddr has it.
  const path = /^(?:unix:(?:\/\/)?|\/unix)(\/.*)$/i.exec(trimmed)?.[1]
  if (path !== undefined) return parseSocketPath(path)
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(trimmed)
  if (/^\/?unix[:/]/i.test(trimmed))
    return refused('has no absolute path; write "unix:/run/kitsune/admin.sock"')
  if (match === null) {
    return refused('is not host:port, such as "127.0.0.1:9090" or "[::1]:9090", nor unix:/path, nor "off"')
  }
  const [, ip6, other, digits] = match
  const port = Number(digits)
  if (port > 65535) return refused(`has port ${digits}; ports end at 65535`)
  if (ip6 !== undefined)
    return isIP(ip6) === 6 ? taken({ host: ip6, port }) : refused('has no IPv6 address in [ ]')
  if (other === 'localhost' || isIP(other ?? '') === 4) return taken({ host: other ?? '', port })
  return refused(
    'has no IP address before the port; say which one, such as "127.0.0.1:9090" or "0.0.0.0:9090"',
  )
}

function parseSocketPath(path: string): Parsed<AdminListen> {
  if (path.endsWith('/')) return refused('ends in a slash; name the socket itself, not its directory')
  const bytes = Buffer.byteLength(path)
  return bytes <= longestSocketPath
    ? taken({ path })
    : refused(`has a path of ${bytes} bytes; sockets of this system end at ${longestSocketPath}`)
}

/** Returns where the admin HTTP listens, as people write it. */
export function formatAdminListen(at: AdminListen): string {
  if ('path' in at) return `unix:${at.path}`
  return at.host.includes(':') ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`
}

/** Returns what port a listen multiaddr asks for. */
export function hostPortOf(listen: string): HostPort {
  const [, , host = '', protocol, port = ''] = listen.split('/')
  return { host, port: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp' }
}

/**
 * Says whether two listeners would want the same port. TCP and UDP are apart, and IPv4 and IPv6 are apart, since the IPv6 listeners are
 * opened for IPv6 only; port 0 collides with nothing.
 */
export function collide(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) return false
  if ((a.protocol ?? 'tcp') !== (b.protocol ?? 'tcp')) return false
  if (a.host === 'localhost')
    return collide({ ...a, host: '127.0.0.1' }, b) || collide({ ...a, host: '::1' }, b)
  if (b.host === 'localhost') return collide(b, a)
  if (isIP(a.host) !== isIP(b.host)) return false
  return isUnspecified(a.host) || isUnspecified(b.host) || sameAddress(a.host, b.host)
}

function sameAddress(a: string, b: string): boolean {
  const family = isIP(a) === 6 ? 'ipv6' : 'ipv4'
  const list = new BlockList()
  list.addAddress(a, family)
  return list.check(b, family)
}
