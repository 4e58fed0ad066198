import { hostNames, joined, parseMultiaddr, shape } from '#src/config/addresses.ts'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'

/*
 * The doors of the front: which transports there are is which ones are let through here; the rest is refused by name
 * rather than ignored.
 */

/** A way in, named as in multiaddrs; also what metrics call the connections that came by it. */
export type DoorKind = 'tcp' | 'ws' | 'wss' | 'quic-v1' | 'webrtc-direct' | 'webtransport'

const shapes: readonly (readonly [DoorKind, RegExp])[] = [
  ['tcp', /^ip[46]\/tcp$/],
  ['ws', /^ip[46]\/tcp\/ws$/],
  ['wss', /^ip[46]\/tcp\/tls\/ws$/],
  ['quic-v1', /^ip[46]\/udp\/quic-v1$/],
  ['webrtc-direct', /^ip[46]\/udp\/webrtc-direct$/],
  ['webtransport', /^ip[46]\/udp\/quic-v1\/webtransport$/],
]

export const doorKinds: readonly DoorKind[] = shapes.map(([kind]) => kind)

/** One address that clients are let in by. */
export interface ListenAddress {
  /** A multiaddr, with an IP address and a port; 0 picks one. */
  readonly address: string
  readonly kind: DoorKind
  /** Where it cannot be opened the edge starts without it. */
  readonly optional: boolean
}

/** Returns the kind of door whose addresses have these parts, as `shape` writes them. */
export function kindOf(names: string): DoorKind | undefined {
  return shapes.find(([, pattern]) => pattern.test(names))?.[0]
}

/** Returns a multiaddr that the front can listen on, with its `?` if it has one; TLS is written `/tls/ws`. */
export function parseListen(text: string): Parsed<string> {
  const [, address = '', mark = ''] = /^(.*?)\s*(\??)$/.exec(text.trim()) ?? []
  const parsed = parseMultiaddr(address)
  if (!parsed.ok) return parsed
  const inFull = (text: string): string => text.replace(/\/wss$/, '/tls/ws')
  const names = shape(parsed.value)
  if (kindOf(inFull(names)) !== undefined) return taken(`${inFull(joined(parsed.value))}${mark}`)
  if (names.includes('p2p'))
    return refused('has a /p2p/ part; leave it out, the peer ID follows from the key')
  if (names.includes('certhash')) return refused('has a /certhash/ part; leave it out, certificates are made')
  if (names.includes('sni'))
    return refused('has an /sni/ part; leave it out, names follow from the certificates')
  if (hostNames.includes(parsed.value[0]?.name ?? '')) return refused('names a host; listen on an IP address')
  return refused(`asks for ${names}, which is not served; there are ${doorKinds.join(', ')}`)
}

/** What may be marked as optional: all doors, those of a kind, or an address of its own. */
export function parseOptionalDoor(text: string): Parsed<string> {
  const word = text.trim().toLowerCase()
  if (['all', 'on', 'true', '1'].includes(word)) return taken('all')
  if (doorKinds.some((kind) => kind === word)) return taken(word)
  return text.trim().startsWith('/')
    ? parseListen(text.trim().replace(/\?$/, ''))
    : refused(`is neither all, nor one of ${doorKinds.join(', ')}, nor a multiaddr`)
}

/**
 * Returns the doors that two lists ask for, as `parseListen` and `parseOptionalDoor` returned them. An address that
 * only the second one has is a door as well.
 */
export function doorsOf(listen: readonly string[], optional: readonly string[]): ListenAddress[] {
  const more = optional.filter((entry) => entry.startsWith('/') && !listen.map(unmarked).includes(entry))
  return [...listen, ...more].map((entry) => {
    const address = unmarked(entry)
    const kind = doorOf(address)
    const marks = [address, kind, 'all']
    return { address, kind, optional: address !== entry || marks.some((mark) => optional.includes(mark)) }
  })
}

function unmarked(entry: string): string {
  return entry.replace(/\?$/, '')
}

/** Returns the kind of door that an address of `parseListen` is. */
export function doorOf(address: string): DoorKind {
  const parsed = parseMultiaddr(address)
  const kind = parsed.ok ? kindOf(shape(parsed.value)) : undefined
  if (kind === undefined) throw new Error(`no door has the address ${address}`)
  return kind
}
