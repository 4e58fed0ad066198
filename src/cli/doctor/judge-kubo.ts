/**
 * What is to be said about a Kubo's settings, as `config/show` tells them: does it accept the lanes, keep them, serve
 * them, and tell them what it wants? Pure. Source: Kubo's docs/config.md and core/node of July 2026.
 */

import { isIP } from 'node:net'
import { about, type Finding, quoted } from '#src/cli/doctor/finding.ts'
import { covers } from '#src/cli/doctor/ip-rules.ts'

/** A JSON object; nothing in it is believed to have the type that it should have. */
export type KuboConfig = Readonly<Record<string, unknown>>

export interface KuboContext {
  /** "kubo/0.39.0/…". */
  readonly agent: string
  readonly lanes: readonly string[]
  /** The edge has content fetched from its clients. */
  readonly preload: boolean
  /** The IP address that we come from, as it sees it. */
  readonly seenAs?: string
}

export function judgeKubo(name: string, settings: KuboConfig, context: KuboContext): Finding[] {
  const say = about(name)
  const at = (path: string) => valueAt(settings, path)
  return [
    ...serves(say, at),
    ...filters(say, at, context),
    connections(say, at, context),
    keeps(say, at, context),
    ...(context.preload ? [broadcasts(say, at, context)] : []),
    ...gateway(say, at),
  ]
}

type Say = ReturnType<typeof about>
type At = (path: string) => unknown

function valueAt(settings: KuboConfig, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), settings)
}

function isObject(value: unknown): value is KuboConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

const set = (key: string, value: unknown): string =>
  `ipfs config --json ${key} ${quoted(JSON.stringify(value))} # on that node; then restart it`

function serves({ fail }: Say, at: At): Finding[] {
  return ['Bitswap.Libp2pEnabled', 'Bitswap.ServerEnabled']
    .filter((key) => at(key) === false)
    .map((key) => fail(`${key} is false: it serves no block to anybody`, set(key, true)))
}

/** The profile `server` refuses all private networks, where pools are. */
function filters({ fail }: Say, at: At, { seenAs }: KuboContext): Finding[] {
  const all = strings(at('Swarm.AddrFilters'))
  const against = all.filter((rule) => seenAs !== undefined && covers([rule], seenAs))
  if (against.length === 0) return []
  const left = all.filter((rule) => !against.includes(rule))
  return [
    fail(
      `Swarm.AddrFilters refuses us (${against.join(', ')} covers ${seenAs})`,
      set('Swarm.AddrFilters', left),
    ),
  ]
}

/** go-libp2p takes 8 connections of an IPv4 address; Kubo takes 16 of an IPv6 /56. */
function connections({ ok, fail, warn }: Say, at: At, { lanes, seenAs }: KuboContext): Finding {
  const key = 'Swarm.ResourceMgr.Allowlist'
  if (at('Swarm.ResourceMgr.Enabled') === false)
    return ok('its resource manager is off: no limit per address')
  const limit = seenAs !== undefined && isIP(seenAs) === 6 ? 16 : 8
  const list = strings(at(key))
  if (seenAs !== undefined && lanes.every((lane) => covers(list, seenAs, lane)))
    return ok(`${key} lets all lanes in`)
  if (lanes.length <= limit)
    return ok(
      `${lanes.length} lanes are within its ${limit} connections per address, for one edge at an address`,
    )
  const text = `${lanes.length} lanes are more than its ${limit} connections per address`
  if (seenAs === undefined)
    return warn(`${text}, and where we come from is not known`, set(key, [...list, '/ip4/EDGE/ipcidr/32']))
  return fail(
    text,
    set(key, [...list, `/ip${isIP(seenAs)}/${seenAs}/ipcidr/${isIP(seenAs) === 6 ? 56 : 32}`]),
  )
}

function peersOf(at: At): KuboConfig[] {
  const peers = at('Peering.Peers')
  return Array.isArray(peers) ? peers.filter(isObject) : []
}

function isPeered(at: At, lanes: readonly string[]): boolean {
  const ids = new Set(peersOf(at).map(({ ID }) => ID))
  return lanes.every((lane) => ids.has(lane))
}

function peerWith(at: At, lanes: readonly string[]): string {
  const others = peersOf(at).filter(({ ID }) => !lanes.includes(String(ID)))
  return set('Peering.Peers', [...others, ...lanes.map((ID) => ({ ID }))])
}

/** Who is not peered with is trimmed when there are many: lanes come back, but what was asked on them is asked again. */
function keeps({ ok, warn }: Say, at: At, { lanes }: KuboContext): Finding {
  if (isPeered(at, lanes)) return ok('Peering.Peers has all lanes: their connections are kept')
  if (at('Swarm.ConnMgr.Type') === 'none')
    return ok('its connection manager is off: no connection is trimmed')
  if (at('Routing.Type') === 'none')
    return ok('it is not in the public swarm: it has no reason to trim connections')
  const high = at('Swarm.ConnMgr.HighWater')
  return warn(
    `it may close lanes when it has more than ${typeof high === 'number' ? high : 96} peers: Peering.Peers lacks some`,
    peerWith(at, lanes),
  )
}

/**
 * Since 0.36 Kubo tells what it wants to few: to peers that have no public address (boxo's `isLocalPeer`; lanes announce
 * none at all), to those that it peers with, and to who has sent it blocks. A lane that is not told cannot bring what a page has.
 */
function broadcasts({ ok, fail }: Say, at: At, { agent, lanes }: KuboContext): Finding {
  const key = 'Internal.Bitswap.BroadcastControl'
  const [, minor = '99'] = /^kubo\/0\.(\d+)/.exec(agent) ?? []
  if (Number(minor) < 36 || at(`${key}.Enable`) === false)
    return ok('tells every peer what it wants: preloading works')
  const unheard = 'lanes do not hear what it wants, and preloading fails'
  const most = at(`${key}.MaxPeers`)
  if (typeof most === 'number' && most >= 0 && most < lanes.length)
    return fail(`${key}.MaxPeers is ${most}: ${unheard}`, set(`${key}.MaxPeers`, -1))
  const peered = isPeered(at, lanes) && at(`${key}.PeeredPeers`) !== true
  if (peered || at(`${key}.LocalPeers`) !== true) return ok('tells the lanes what it wants: preloading works')
  return fail(`${key}.LocalPeers is true: ${unheard}`, set(`${key}.LocalPeers`, false))
}

function gateway({ warn }: Say, at: At): Finding[] {
  const open = [at('Addresses.Gateway')]
    .flat()
    .some((address) => /^\/ip[46]\/(0\.0\.0\.0|::)\//.test(String(address)))
  if (!open || at('Gateway.NoFetch') === true) return []
  return [
    warn(
      'its gateway listens on all addresses and fetches whatever anybody asks for',
      set('Gateway.NoFetch', true),
    ),
  ]
}
