import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import { parseCidText } from '#src/http/content-path.ts'
import { cid, peer } from '#src/http/rpc-commands.ts'

/*
 * Lookups of https://specs.ipfs.tech/routing/http-routing-v1/, as they may be passed on: GET only, each part of the
 * path read and written anew.
 */

/** A lookup as a gateway is asked it. */
export interface Lookup {
  /** Path and query. */
  readonly path: string
  readonly accept: string
  /** What it is about. */
  readonly key: string
}

const libp2pKeyCodec = 0x72
const recordType = 'application/vnd.ipfs.ipns-record'
const filters = ['filter-addrs', 'filter-protocols'] as const

const lookups: readonly (readonly [prefix: string, read: (text: string) => Parsed<string>])[] = [
  ['providers/', cid],
  ['peers/', peer],
  ['ipns/', name],
  ['dht/closest/peers/', peerOrCid],
]

/** Returns the lookup that a URL stands for; what is wrong with it; or undefined when there is no such lookup. */
export function parseLookup(url: URL, accepted: string): Parsed<Lookup> | undefined {
  const rest = url.pathname.replace(/^\/routing\/v1\//, '')
  const [prefix, read] = lookups.find(([known]) => rest.startsWith(known)) ?? []
  if (prefix === undefined || read === undefined) return undefined
  const text = rest.slice(prefix.length)
  // Keys are letters and digits in every base that is used in a URL: nothing needs to be decoded.
  const key = /^[A-Za-z0-9_-]+$/.test(text) ? read(text) : refused('is no CID and no peer ID')
  if (!key.ok) return refused(`the last part of the path ${key.reason}`)
  const query = new URLSearchParams()
  for (const filter of filters) {
    const value = url.searchParams.get(filter)
    if (value === null) continue
    if (!/^[\w!,./ -]{1,512}$/.test(value))
      return refused(`option "${filter}" is not a list of protocol names`)
    query.set(filter, value)
  }
  const search = query.toString()
  const path = `/routing/v1/${prefix}${key.value}${search === '' ? '' : `?${search}`}`
  return taken({ path, accept: acceptable(prefix, accepted), key: key.value })
}

function acceptable(prefix: string, accepted: string): string {
  if (prefix === 'ipns/') return recordType
  return accepted.includes('application/x-ndjson') ? 'application/x-ndjson' : 'application/json'
}

/** A name is the CID of a key. */
function name(text: string): Parsed<string> {
  const parsed = parseCidText(text)
  return parsed.ok && parsed.value.code === libp2pKeyCodec
    ? taken(parsed.value.toString())
    : refused('is not an IPNS name; write it as a CID, such as k51…')
}

function peerOrCid(text: string): Parsed<string> {
  const id = peer(text)
  return id.ok ? id : cid(text)
}
