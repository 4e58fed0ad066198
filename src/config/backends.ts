import { parseBackendMultiaddr, peerIdOf } from '#src/config/addresses.ts'
import type { BackendConfig } from '#src/config/config.ts'
import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import type { Fault } from '#src/config/variable.ts'
import { nearest } from '#src/util/nearest.ts'

/*
 * The grammar of KITSUNE_BACKENDS: entries between commas, each an RPC URL or a multiaddr, followed by options
 * as `;key=value`. A misspelt option is never taken for part of an address.
 */

interface Options {
  readonly gateway?: string
}

/** What may follow an entry, each with how it is read. */
const knownOptions: Readonly<Record<keyof Options, (value: string) => Parsed<string>>> = {
  gateway: parseGateway,
}

/**
 * Returns the list with passwords hidden. Where an entry cannot be told apart with certainty (a comma or a slash
 * inside a password), it hides too much rather than too little.
 */
export function maskBackends(text: string): string {
  if (!text.includes('@')) return text
  return text
    .split(',')
    .map((entry) => maskEntry(entry.trim()))
    .join(',')
}

function maskEntry(entry: string): string {
  const parsed = parseBackend(entry)
  if (parsed.ok && parsed.value.kind === 'rpc' && parsed.value.authorization !== undefined) {
    return entry.replace(/\/\/.*@/, '//***@')
  }
  return parsed.ok && !entry.includes('@') ? entry : `${/^https?:\/\//i.exec(entry)?.[0] ?? ''}***`
}

/** Returns a reason without what it quotes: reasons quote only after a quotation mark or parenthesis. */
function maskReason(reason: string): string {
  return reason.split(/[:;]? ?["(]/)[0] ?? ''
}

/** Returns every backend of the list, and every fault in it; the backends count only if there is none. */
export function parseBackends(text: string): { value: BackendConfig[]; faults: Fault[] } {
  const value: BackendConfig[] = []
  const faults: Fault[] = []
  const seen = new Map<string, string>()
  // A password may hold a comma: with an @ about, no piece that failed is shown.
  const secret = text.includes('@')
  for (const [index, entry] of text.split(',').entries()) {
    const trimmed = entry.trim()
    const found = secret ? `entry ${index + 1}: ${maskEntry(trimmed)}` : trimmed
    const parsed = parseBackend(trimmed)
    if (!parsed.ok) {
      faults.push({ found, reason: secret ? maskReason(parsed.reason) : parsed.reason })
      continue
    }
    const backend = parsed.value
    const key =
      backend.kind === 'rpc' ? backend.url.toLowerCase() : (peerIdOf(backend.multiaddr) ?? backend.name)
    const earlier = seen.get(key)
    if (earlier !== undefined) {
      const what = backend.kind === 'rpc' ? 'URL' : 'peer ID'
      faults.push({ found: backend.name, reason: `is a duplicate: ${earlier} has the same ${what}` })
      continue
    }
    seen.set(key, backend.name)
    value.push(backend)
  }
  return { value, faults }
}

/** Returns one backend of the list. */
export function parseBackend(entry: string): Parsed<BackendConfig> {
  const [address = '', ...rest] = entry.split(';').map((part) => part.trim())
  if (address === '') return refused('is empty; a comma too many?')
  const options = parseOptions(rest)
  if (!options.ok) return options
  if (address.startsWith('/')) {
    const parsed = parseBackendMultiaddr(address)
    if (!parsed.ok) return parsed
    return taken({ kind: 'multiaddr', name: parsed.value, multiaddr: parsed.value, ...options.value })
  }
  const rpc = parseRpc(address)
  return rpc.ok ? taken({ ...rpc.value, ...options.value }) : rpc
}

function parseOptions(texts: readonly string[]): Parsed<Options> {
  const options: { -readonly [K in keyof Options]: Options[K] } = {}
  for (const text of texts) {
    const [key = '', value] = text.split(/=(.*)/s).map((part) => part.trim())
    if (!isKnown(key)) return refused(unknownOption(key))
    if (options[key] !== undefined) return refused(`has the option "${key}" twice`)
    const parsed = knownOptions[key](value ?? '')
    if (!parsed.ok) return refused(`has an option "${key}" that ${parsed.reason}`)
    options[key] = parsed.value
  }
  return taken(options)
}

function isKnown(key: string): key is keyof Options {
  return Object.hasOwn(knownOptions, key)
}

function unknownOption(key: string): string {
  const known = Object.keys(knownOptions)
  const guess = nearest(key, known)
  return `has the unknown option "${key}"; ${guess === undefined ? `known are: ${known.join(', ')}` : `is it "${guess}"?`}`
}

function parseGateway(text: string): Parsed<string> {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null
  if (url === null) return refused('is not a URL; write gateway=http://host:8080')
  // A gateway is read by anybody, so it has no password; and here none would be hidden.
  if (text.includes('@')) return refused('has an @; a gateway takes no password')
  if (url.search !== '' || url.hash !== '') return refused('has a ? or # part; write the base URL only')
  if (url.port === '0') return refused('has port 0, which nobody can dial')
  return taken(url.origin + url.pathname.replace(/\/+$/, ''))
}

function parseRpc(text: string): Parsed<BackendConfig & { kind: 'rpc' }> {
  if (!/^https?:\/\//i.test(text)) {
    return refused('is neither a URL nor a multiaddr; write http://host:5001 or /ip4/…/tcp/4001/p2p/…')
  }
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return refused('is not a URL; write http://host:port, with special characters of a password %-encoded')
  }
  if (url.pathname.includes('@'))
    return refused('has an @ after its host; write special characters of a password %-encoded')
  if (url.search !== '' || url.hash !== '')
    return refused('has a ? or # part; write the base URL of the RPC only')
  if (url.protocol === 'http:' && !/:\d+$/.test(/^[^/]*\/\/([^/]*)/.exec(text)?.[1] ?? '')) {
    return refused('has no port; the RPC of Kubo is on 5001: http://host:5001')
  }
  if (url.port === '0') return refused('has port 0, which nobody can dial')
  // People copy the whole path of an RPC call; the base is what is meant.
  const path = url.pathname.replace(/\/+$/, '').replace(/\/api\/v0$/, '')
  const base = `${url.protocol}//${url.hostname}${url.port === '' ? '' : `:${url.port}`}${path}`
  if (url.username === '' && url.password === '') return taken({ kind: 'rpc', name: base, url: base })
  const authorization = basicAuthorization(url)
  if (authorization === undefined) return refused('has a stray % in its user or password; write it as %25')
  return taken({ kind: 'rpc', name: base, url: base, authorization })
}

function basicAuthorization(url: URL): string | undefined {
  try {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`
  } catch {
    return undefined
  }
}
