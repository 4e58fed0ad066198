/**
 * Which of a backend's own addresses are of use from here. A Kubo tells the addresses of its interfaces as it sees
 * them: its loopback, those inside its container, those on the internet. Pure, holds no state.
 */
import { BlockList, isIP } from 'node:net'

interface SwarmAddress {
  readonly protocol: 'ip4' | 'ip6' | 'dns' | 'dns4' | 'dns6'
  readonly host: string
  readonly port: string
  readonly id: string
}

/**
 * Returns the plain TCP addresses to dial, best first, each as `/…/tcp/<port>/p2p/<peer ID>`: those on the host of
 * the RPC, then private ones, then public ones. Loopback and unspecified hosts become the RPC's host, unless the
 * RPC is on loopback itself. WebSocket, QUIC, WebTransport and relayed addresses are left out.
 * @param addresses as `/api/v0/id` tells them.
 * @param rpcHost host of the RPC's URL; IPv6 with or without brackets.
 */
export function usableAddresses(addresses: readonly string[], rpcHost: string): string[] {
  const host = rpcHost.replace(/^\[|\]$/g, '')
  const ranked = new Map<string, number>()
  for (const text of addresses) {
    const address = parseTcp(text)
    if (address === undefined) continue
    const dialable = fromHere(address, host)
    const { protocol, port, id } = dialable
    const key = `/${protocol}/${dialable.host}/tcp/${port}/p2p/${id}`
    if (!ranked.has(key)) ranked.set(key, rankOf(dialable, host))
  }
  return [...ranked].sort(([, a], [, b]) => a - b).map(([key]) => key)
}

const tcpShape = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)\/(?:p2p|ipfs)\/([^/]+)$/

function parseTcp(text: string): SwarmAddress | undefined {
  const [, protocol, host, port, id] = tcpShape.exec(text) ?? []
  if (host === undefined || port === undefined || id === undefined) return undefined
  const number = Number(port)
  if (number < 1 || number > 65_535) return undefined
  if (protocol === 'ip4' && isIP(host) !== 4) return undefined
  if (protocol === 'ip6' && (isIP(host) !== 6 || linkLocal.check(host, 'ipv6'))) return undefined
  return { protocol: protocol as SwarmAddress['protocol'], host, port, id }
}

function fromHere(address: SwarmAddress, rpcHost: string): SwarmAddress {
  const unspecified = /^(0\.0\.0\.0|[0:]+)$/.test(address.host)
  if (!unspecified && !isLoopback(address.host)) return address
  if (!isLoopback(rpcHost)) return { ...address, protocol: protocolOf(rpcHost), host: rpcHost }
  if (!unspecified) return address
  return { ...address, host: address.protocol === 'ip6' ? '::1' : '127.0.0.1' }
}

function protocolOf(host: string): SwarmAddress['protocol'] {
  const version = isIP(host)
  return version === 4 ? 'ip4' : version === 6 ? 'ip6' : 'dns'
}

function rankOf({ host }: SwarmAddress, rpcHost: string): number {
  if (host === rpcHost || (isLoopback(host) && isLoopback(rpcHost))) return 0
  return isIn(privateRanges, host) ? 1 : 2
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isIn(loopback, host)
}

function isIn(ranges: BlockList, host: string): boolean {
  const version = isIP(host)
  return version !== 0 && ranges.check(host, version === 4 ? 'ipv4' : 'ipv6')
}

function rangesOf(...cidrs: readonly [network: string, prefix: number][]): BlockList {
  const ranges = new BlockList()
  for (const [network, prefix] of cidrs) {
    ranges.addSubnet(network, prefix, isIP(network) === 4 ? 'ipv4' : 'ipv6')
  }
  return ranges
}

const loopback = rangesOf(['127.0.0.0', 8], ['::1', 128])
/** Of no use without a zone, which a multiaddr of this shape has not. */
const linkLocal = rangesOf(['fe80::', 10])
/** RFC 1918, RFC 6598 (shared), RFC 3927 (link-local), RFC 4193 (unique local). */
const privateRanges = rangesOf(
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['fc00::', 7],
)
