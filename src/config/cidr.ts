import { isIP } from 'node:net'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import { ipv6Groups } from '#src/util/ipv6.ts'

/**
 * Returns a range of addresses as `network/bits`; one address alone is the range of itself. Strict, since a range that
 * is wider than was meant trusts strangers.
 */
export function parseCidr(text: string): Parsed<string> {
  const [host = '', suffix, ...rest] = text.trim().split('/')
  const version = isIP(host)
  if (version === 0 || rest.length > 0 || host.includes('%')) {
    return refused('is no IP address or CIDR, such as 10.0.0.5, 10.0.0.0/24 or fd00:1::/64')
  }
  if (version === 6 && isMapped(ipv6Groups(host))) {
    return refused('is an IPv4 address in the form of IPv6; write it as IPv4, it covers both')
  }
  const width = version === 4 ? 32 : 128
  if (suffix === undefined) return taken(`${host}/${width}`)
  const bits = /^\d{1,3}$/.test(suffix) ? Number(suffix) : Number.NaN
  if (!(bits <= width)) return refused(`has no number of bits from 1 to ${width} after its /`)
  if (bits === 0) return refused('is everybody; name the network that your load balancers are in')
  const groups = version === 4 ? ipv6Groups(`::${host}`).slice(6) : ipv6Groups(host)
  if (groups.some((group, index) => group % 2 ** (16 - bitsOfGroup(index, bits)) !== 0)) {
    return refused(`has bits beyond its first ${bits}; is it the single address ${host}, or another network?`)
  }
  return taken(`${host}/${bits}`)
}

/** How many of the first `bits` are in this group of sixteen. */
function bitsOfGroup(index: number, bits: number): number {
  return Math.max(0, Math.min(16, bits - index * 16))
}

function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
}
