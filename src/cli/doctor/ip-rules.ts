import { BlockList, isIP } from 'node:net'

/**
 * Says whether one of Kubo's rules is about an IP address: `/ip4/10.0.0.0/ipcidr/8`, the same with `/p2p/…` (then about that
 * peer only), or an address alone. One that cannot be read is about nobody, as Kubo takes it.
 */
export function covers(rules: readonly string[], host: string, peer?: string): boolean {
  const family = isIP(host)
  return family !== 0 && rules.some((rule) => covered(rule, host, family === 6 ? 6 : 4, peer))
}

function covered(rule: string, host: string, family: 4 | 6, peer: string | undefined): boolean {
  const [, version, address = '', , bits, , named] =
    /^\/ip([46])\/([^/]+)(\/ipcidr\/(\d+))?(\/(?:p2p|ipfs)\/([^/]+))?$/.exec(rule) ?? []
  if (Number(version) !== family || isIP(address) !== family) return false
  if (named !== undefined && named !== peer) return false
  const longest = family === 6 ? 128 : 32
  const prefix = bits === undefined ? longest : Number(bits)
  if (prefix > longest) return false
  const list = new BlockList()
  list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
  return list.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
