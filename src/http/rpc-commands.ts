import { parsePeerId } from '#src/config/addresses.ts'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import type { RpcCommand } from '#src/config/rpc-allow.ts'
import { CallArguments } from '#src/http/call-arguments.ts'
import { formatContentPath, parseContentPath } from '#src/http/content-path.ts'

/*
 * The commands that may be forwarded: what each is called at a backend, and what of a client's arguments reaches it.
 * Every argument is read and written anew; nothing that was not understood is passed on.
 *
 * Kubo moved `dht/…` to `routing/…` in 0.14, with the same answers, and took the old names away in 0.27, all but
 * `dht/query`. Clients in the field know the old ones only, so they are translated.
 */

/** A call as a backend is told it. */
export interface BackendCall {
  readonly command: string
  readonly query: readonly (readonly [name: string, value: string])[]
  /** What it is about: calls about the same go to the same backend. */
  readonly key: string
  readonly timeoutMs: number
  /** It takes a value as `multipart/form-data`. */
  readonly takesBody: boolean
}

type Query = readonly (readonly [string, string])[]

interface Rule {
  readonly command: string
  /** Returns the argument in the one way in which backends are told of it. */
  readonly arg: (text: string) => Parsed<string>
  readonly options?: (options: CallArguments) => Query
  readonly takesBody?: boolean
}

const maxProviders = 100
const maxPeerCharacters = 128

const rules: Readonly<Record<Exclude<RpcCommand, 'routing/v1'>, Rule>> = {
  'block/stat': { command: 'block/stat', arg: contentPath },
  'dag/resolve': { command: 'dag/resolve', arg: contentPath },
  'dht/findpeer': { command: 'routing/findpeer', arg: peer },
  'dht/findprovs': { command: 'routing/findprovs', arg: cid, options: providers },
  'dht/get': { command: 'routing/get', arg: routingKey },
  'dht/provide': { command: 'routing/provide', arg: cid, options: once },
  'dht/put': { command: 'routing/put', arg: routingKey, takesBody: true },
  'dht/query': { command: 'dht/query', arg: peer },
  'name/resolve': { command: 'name/resolve', arg: mutableName, options: resolving },
  resolve: { command: 'resolve', arg: anyName, options: resolving },
  'routing/findpeer': { command: 'routing/findpeer', arg: peer },
  'routing/findprovs': { command: 'routing/findprovs', arg: cid, options: providers },
  'routing/get': { command: 'routing/get', arg: routingKey },
  'routing/provide': { command: 'routing/provide', arg: cid, options: once },
  'routing/put': { command: 'routing/put', arg: routingKey, takesBody: true },
}

/** A command of `/api/v0`. */
export type ForwardedCommand = keyof typeof rules

/** Returns the call that a client's query stands for, or what is wrong with it. */
export function parseCall(command: ForwardedCommand, query: string, maxMs: number): Parsed<BackendCall> {
  const rule = rules[command]
  const options = new CallArguments(query)
  const [text, ...more] = options.args()
  if (text === undefined) return refused('argument "arg" is required')
  if (more.length > 0) return refused('argument "arg" is given more than once; make a call for each')
  const arg = rule.arg(text)
  if (!arg.ok) return refused(`argument "arg" ${arg.reason}`)
  const passed = rule.options?.(options) ?? []
  const timeoutMs = Math.min(maxMs, options.duration('timeout') ?? maxMs)
  if (options.fault !== undefined) return refused(options.fault)
  return taken({
    command: rule.command,
    query: [['arg', arg.value], ...passed, ['timeout', `${timeoutMs}ms`]],
    key: arg.value,
    timeoutMs,
    takesBody: rule.takesBody ?? false,
  })
}

/** Returns a peer ID in base58. */
export function peer(text: string): Parsed<string> {
  const parsed = text.length <= maxPeerCharacters ? parsePeerId(text) : undefined
  return parsed?.ok ? parsed : refused('is not a peer ID')
}

/** Returns a CID without a path. */
export function cid(text: string): Parsed<string> {
  const path = parseContentPath(text)
  if (!path.ok) return path
  return path.value.names.length === 0
    ? taken(path.value.cid.toString())
    : refused('has a path behind its CID')
}

function contentPath(text: string): Parsed<string> {
  const path = parseContentPath(text)
  return path.ok ? taken(formatContentPath(path.value)) : path
}

/** Records that nodes keep for each other are under the name of a peer. */
function routingKey(text: string): Parsed<string> {
  const [, space, name = ''] = /^\/(ipns|pk)\/([^/]+)$/.exec(text) ?? []
  const id = peer(name)
  return id.ok ? taken(`/${space}/${id.value}`) : refused('is not a key; write /ipns/PEER-ID or /pk/PEER-ID')
}

const domain =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i

/** A name that is looked up by `/ipns`: a peer ID or a domain, and perhaps a path below it. */
function mutableName(text: string): Parsed<string> {
  const [name = '', ...names] = text
    .replace(/^ipns:(\/\/)?/i, '/ipns/')
    .replace(/^\/ipns\//, '')
    .split('/')
  const id = peer(name)
  if (!id.ok && !domain.test(name)) return refused('is not a name; write /ipns/PEER-ID or /ipns/DOMAIN')
  const below = names.length === 0 ? taken('') : pathBelow(names)
  return below.ok ? taken(`/ipns/${id.ok ? id.value : name}${below.value}`) : below
}

/** Reads a path by what is read already: below any CID it is the same. */
function pathBelow(names: readonly string[]): Parsed<string> {
  const path = parseContentPath(['bafkqaaa', ...names].join('/'))
  return path.ok ? taken(path.value.names.map((name) => `/${name}`).join('')) : path
}

function anyName(text: string): Parsed<string> {
  return /^(\/ipns\/|ipns:)/i.test(text) ? mutableName(text) : contentPath(text)
}

function providers(options: CallArguments): Query {
  const count = options.integer(20, 'num-providers', 'n')
  if (count < 1 || count > maxProviders)
    options.refuse(`option "num-providers" is not from 1 to ${maxProviders}`)
  return [['num-providers', String(count)]]
}

/** To announce a whole DAG takes a node hours, and clients that mean it are none that were seen. */
function once(options: CallArguments): Query {
  if (options.flag('recursive', 'r'))
    options.refuse('option "recursive" is not served; make a call for each CID')
  return []
}

function resolving(options: CallArguments): Query {
  if (!options.has('recursive', 'r')) return []
  return [['recursive', String(options.flag('recursive', 'r'))]]
}
