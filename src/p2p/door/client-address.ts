/**
 * Who a request is from when it came through load balancers: the one place that decides whose word counts. Pure.
 *
 * Invariant: what a client writes about itself is never believed. A header is read only if the peer of the socket
 * is trusted, and then from the right, where that peer wrote; each name further left is believed as long as the
 * one who wrote it is trusted too.
 *
 * Memory: none kept. Work: `maxHops` names; headers are as long as the HTTP server lets them be.
 */

import { BlockList, isIPv4 } from 'node:net'
import { plainHost } from '#src/p2p/addresses.ts'

/** Says whether a load balancer's word on its clients counts; of a host as `plainHost` writes it. */
export type TrustsHost = (host: string) => boolean

/** Returns who is trusted, from CIDRs as the config has them. */
export function trustIn(ranges: readonly string[]): TrustsHost {
  if (ranges.length === 0) return () => false
  const list = new BlockList()
  for (const range of ranges) {
    const [net = '', prefix = ''] = range.split('/', 2)
    list.addSubnet(net, Number(prefix), familyOf(net))
  }
  return (host) => list.check(host, familyOf(host))
}

function familyOf(host: string): 'ipv4' | 'ipv6' {
  return isIPv4(host) ? 'ipv4' : 'ipv6'
}

/** The headers that say whom a request was passed on for; a repeated one is one list. */
export interface ForwardingHeaders {
  readonly 'x-forwarded-for'?: string | readonly string[] | undefined
  readonly forwarded?: string | readonly string[] | undefined
}

export type ClientHost =
  | { readonly kind: 'known'; readonly host: string }
  /**
   * Both headers are there and name different clients: the load balancer writes one and passes on the other as the
   * client wrote it, and nobody can say which is which.
   */
  | { readonly kind: 'contradiction' }

/** More load balancers in a row than anybody has. */
const maxHops = 32

/** Returns the client of a request whose socket (or PROXY header) says `peer`. */
export function clientHost(peer: string, headers: ForwardingHeaders, trusts: TrustsHost): ClientHost {
  if (!trusts(peer)) return { kind: 'known', host: peer }
  const lists = [
    { text: listOf(headers['x-forwarded-for']), read: hostIn },
    { text: listOf(headers.forwarded), read: forIn },
  ].filter(({ text }) => text !== '')
  const [first = peer, second = first] = lists.map(({ text, read }) => walk(peer, text, read, trusts))
  return first === second ? { kind: 'known', host: first } : { kind: 'contradiction' }
}

function listOf(header: string | readonly string[] | undefined): string {
  return (typeof header === 'string' ? header : (header ?? []).join(',')).trim()
}

/** From the right, as long as those who wrote are trusted; a name that is no address ends it before itself. */
function walk(
  peer: string,
  list: string,
  read: (item: string) => string | undefined,
  trusts: TrustsHost,
): string {
  let host = peer
  let end = list.length
  for (let hop = 0; hop < maxHops && end >= 0 && trusts(host); hop++) {
    const start = itemStart(list, end)
    const next = read(list.slice(start, end).trim())
    if (next === undefined) return host
    host = next
    end = start - 1
  }
  return host
}

/**
 * Where the last item before `end` begins. Commas in quotes do not part items; quotes are paired from the right as
 * well, so that one left open by a client does not swallow what a load balancer added behind it.
 */
function itemStart(list: string, end: number): number {
  let quoted = false
  for (let at = end - 1; at >= 0; at--) {
    const char = list[at]
    if (char === '"' && !(quoted && isEscaped(list, at))) quoted = !quoted
    if (char === ',' && !quoted) return at + 1
  }
  return 0
}

function isEscaped(list: string, at: number): boolean {
  let slashes = 0
  while (list[at - 1 - slashes] === '\\') slashes++
  return slashes % 2 === 1
}

/** One parameter of an element, up to the next one; its value is quoted or (also where it should not be) bare. */
const parameter = /\s*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))\s*(?:;|$)/gy

/**
 * The address after `for=` in one element of `Forwarded` (RFC 7239, section 4). Other parameters may hold what the client
 * wrote, so they are read as such and not searched; an element that is not well formed says nothing.
 */
function forIn(element: string): string | undefined {
  const names: string[] = []
  let read = 0
  for (const [text, key = '', quoted, bare = ''] of element.matchAll(parameter)) {
    read += text.length
    if (key.toLowerCase() === 'for') names.push(quoted ?? bare)
  }
  const [name = '', ...more] = names
  return read === element.length && more.length === 0 ? hostIn(name) : undefined
}

/**
 * The address in `192.0.2.1`, `192.0.2.1:8080`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:8080`. `unknown` and
 * obfuscated names (`_hidden`) have none.
 */
function hostIn(name: string): string | undefined {
  const [, bracketed, ip4] = /^(?:\[([^\]]*)\]|([\d.]+))(?::[^:]+)?$/.exec(name) ?? []
  return plainHost(bracketed ?? ip4 ?? name)
}
