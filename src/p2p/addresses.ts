/**
 * What an address says about where a peer is: private or public, which of them count as one. Pure.
 */

import { isIPv4, isIPv6 } from 'node:net'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isPrivateHost } from '#src/p2p/private-hosts.ts'
import { ipv6Groups } from '#src/util/ipv6.ts'

/** Returns the IP address or name a multiaddr begins with; empty if it begins with neither. */
export function remoteHost(address: Multiaddr): string {
  const first = address.getComponents().find((component) => component.name !== 'ip6zone')
  const hosts = ['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr']
  return first !== undefined && hosts.includes(first.name) ? (first.value ?? '') : ''
}

/**
 * Returns an IP address in the one way in which it is written here, so that equal ones are equal text: no zone, IPv4
 * as four numbers also when it comes as `::ffff:1.2.3.4`, IPv6 as RFC 5952 has it. Anything else is undefined.
 */
export function plainHost(text: string): string | undefined {
  if (isIPv4(text)) return text
  const bare = withoutZone(text)
  if (!isIPv6(bare)) return undefined
  const groups = ipv6Groups(bare)
  return mappedIpv4(groups) ?? shortened(groups)
}

/**
 * Returns what counts as one address: an IPv4 address as it is (also when it comes as `::ffff:1.2.3.4`), of
 * an IPv6 address its /64, anything else as it is.
 */
export function addressGroup(host: string): string {
  const bare = withoutZone(host)
  if (!isIPv6(bare)) return host
  const groups = ipv6Groups(bare)
  return mappedIpv4(groups) ?? `${hex(groups.slice(0, 4))}::/64`
}

function withoutZone(host: string): string {
  return host.split('%', 1)[0] ?? host
}

/** The IPv4 address inside `::ffff:…`; undefined for any other. */
function mappedIpv4(groups: readonly number[]): string | undefined {
  if (hex(groups.slice(0, 6)) !== '0:0:0:0:0:ffff') return undefined
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')
}

/** RFC 5952, section 4.2: the longest run of zeros, the first of equal ones, is `::`, but never a single zero. */
function shortened(groups: readonly number[]): string {
  const whole = hex(groups)
  const runs = whole.match(/\b0(:0)+\b/g) ?? []
  const [longest] = runs.sort((a, b) => b.length - a.length)
  return longest === undefined ? whole : whole.replace(new RegExp(`(^|:)${longest}(:|$)`), '::')
}

function hex(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':')
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
