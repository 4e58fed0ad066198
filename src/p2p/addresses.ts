/**
 * What an address says about where a peer is: private or public, which of them count as one. Pure.
 */

import { isIPv6 } from 'node:net'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isPrivateHost } from '#src/p2p/private-hosts.ts'

/** Returns the IP address or name a multiaddr begins with; empty if it begins with neither. */
export function remoteHost(address: Multiaddr): string {
  const first = address.getComponents().find((component) => component.name !== 'ip6zone')
  const hosts = ['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr']
  return first !== undefined && hosts.includes(first.name) ? (first.value ?? '') : ''
}

/**
 * Returns what counts as one address: an IPv4 address as it is (also when it comes as `::ffff:1.2.3.4`), of
 * an IPv6 address its /64, anything else as it is.
 */
export function addressGroup(host: string): string {
  const bare = host.split('%', 1)[0] ?? host
  if (!isIPv6(bare)) return host
  const groups = ipv6Groups(bare)
  if (groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff') return dottedQuad(groups[6], groups[7])
  return `${groups.slice(0, 4).join(':')}::/64`
}

function dottedQuad(high = '0', low = '0'): string {
  return [high, low]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')
}

/** The eight groups of an IPv6 address without leading zeros; a dotted quad at its end is two groups. */
function ipv6Groups(address: string): string[] {
  const [head = '', tail] = address.toLowerCase().split('::', 2)
  const before = splitGroups(head)
  if (tail === undefined) return before
  const after = splitGroups(tail)
  return [...before, ...new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
}

function splitGroups(part: string): string[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16).toString(16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)]
  })
}

/**
 * Keeps what a client on the internet can dial: public IP addresses and names. Everything private, local,
 * reserved or unspecified is dropped.
 */
export function publicOnly(addresses: readonly Multiaddr[]): Multiaddr[] {
  return addresses.filter((address) => {
    const host = remoteHost(address)
    return host !== '' && !isPrivateHost(host)
  })
}
