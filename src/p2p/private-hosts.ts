/**
 * The address ranges that mean nothing outside of their own network. Pure; the list is fixed.
 */

import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** RFC 6890 and its registry: what is not globally reachable, with multicast and the unspecified address. */
const ipv4Ranges = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]
const ipv6Ranges = [
  '::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001:db8::/32',
  '3fff::/20',
  'fc00::/7',
  'fe80::/9',
  'ff00::/8',
]

/** Names that never leave their network: RFC 6761, 6762 and 8375. */
const localNames = ['localhost', 'local', 'internal', 'home.arpa', 'lan', 'test', 'invalid', 'example']

const privateRanges = new BlockList()
for (const range of ipv4Ranges) addRange(range, 'ipv4')
for (const range of ipv6Ranges) addRange(range, 'ipv6')

function addRange(range: string, family: 'ipv4' | 'ipv6'): void {
  const [net = '', prefix = ''] = range.split('/', 2)
  privateRanges.addSubnet(net, Number(prefix), family)
}

/** True for an IP address or a name that a peer on the internet cannot reach. */
export function isPrivateHost(host: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)
  const ip = mapped?.[1] ?? host.split('%', 1)[0] ?? host
  if (isIPv4(ip)) return privateRanges.check(ip, 'ipv4')
  if (isIPv6(ip)) return /^::ffff:/i.test(ip) || privateRanges.check(ip, 'ipv6')
  const labels = ip.toLowerCase().replace(/\.$/, '').split('.')
  return labels.length === 1 || localNames.some((name) => `.${labels.join('.')}`.endsWith(`.${name}`))
}
