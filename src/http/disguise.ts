/**
 * Keeps backends out of what they say about the network. A node that is asked for providers names itself with all its
 * addresses, and its neighbours as well. Clients are to dial this edge instead: it stands in wherever a peer is
 * described that is one of ours.
 *
 * Pure. Works on one line of JSON, in the shapes of Kubo's query events and of `/routing/v1`: objects with `ID`, and
 * multiaddrs in `Addrs` or `Addresses`.
 */

/** Who must not be seen, and who is seen instead. */
export interface Disguise {
  /** Says whether a peer ID, in base58, is one of a backend or of ours towards them. */
  hides(peerId: string): boolean
  /** This edge as clients know it. */
  self(): { readonly id: string; readonly addresses: readonly string[] }
}

/** Returns the line with this edge in place of those it hides; undefined when the line is no JSON. */
export function disguised(line: string, disguise: Disguise): string | undefined {
  const self = disguise.self()
  const replaced = (value: unknown): unknown => {
    if (Array.isArray(value)) return withoutRepeats(value, self.id)
    if (typeof value !== 'object' || value === null) return value
    const peer = value as Record<string, unknown>
    const isHidden = typeof peer.ID === 'string' && disguise.hides(peer.ID)
    if (isHidden) peer.ID = self.id
    for (const key of ['Addrs', 'Addresses']) {
      const addresses = peer[key]
      if (!Array.isArray(addresses)) continue
      peer[key] = isHidden ? self.addresses : addresses.filter((address) => !leadsThrough(address, disguise))
    }
    return peer
  }
  try {
    return JSON.stringify(JSON.parse(line, (_key, value: unknown) => replaced(value)))
  } catch {
    return undefined
  }
}

/** Says whether an address has one of ours in it: as the relay of a peer behind it, it tells where ours is. */
function leadsThrough(address: unknown, disguise: Disguise): boolean {
  if (typeof address !== 'string') return false
  return [...address.matchAll(/\/(?:p2p|ipfs)\/([^/]+)/g)].some(([, id = '']) => disguise.hides(id))
}

/** Several of ours have become the same peer: it is told once. */
function withoutRepeats(values: readonly unknown[], selfId: string): unknown[] {
  const isSelf = (value: unknown) => (value as { ID?: unknown } | null)?.ID === selfId
  const first = values.findIndex(isSelf)
  return values.filter((value, index) => index === first || !isSelf(value))
}
