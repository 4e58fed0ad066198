/**
 * What a backend says about a failure, made fit for clients: they may learn what is wrong with what they asked for,
 * and nothing about the inside; and for logs, where it is the other way round. Pure; holds no state.
 */

/** Paths that name content; every other absolute path is one of the backend's disk. */
const contentPath = /^\/(ipfs|ipns|ipld)\//

const hidden: readonly (readonly [what: RegExp, instead: string])[] = [
  // Multiaddrs, whole: /ip4/10.0.0.1/tcp/4001/p2p/…, /dns4/…, /unix/…
  [/\/(?:ip4|ip6|ip6zone|dns|dns4|dns6|dnsaddr|unix|p2p|p2p-circuit|ipcidr)\/[^\s"'`,;\])}]*/gi, '[address]'],
  [/\b(?!ipfs:|ipns:|ipld:)[a-z][a-z0-9+.-]*:\/\/[^\s"'`<>]+/gi, '[address]'],
  // IPv6, with or without brackets; IPv4.
  [/\[[0-9a-f:.]*:[0-9a-f:.]*(?:%\w+)?\](?::\d+)?/gi, '[address]'],
  [/(?<![\w:.])[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*(?:%\w+)?/gi, '[address]'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g, '[address]'],
  // As Go's resolver and dialler put it: "lookup node1.lan on …", "dial tcp node1.lan:4001".
  [/\b(lookup|dial (?:tcp|udp)[46]?) [^\s:]+(?::\d+)?/gi, '$1 [address]'],
  [/\b[a-z0-9](?:[\w-]*\.)*[\w-]*:\d{2,5}\b/gi, '[address]'],
  // Peer IDs of keys that nodes have today; older ones look like CIDs, which clients may see.
  [/\b(?:12D3Koo|16Uiu2)[1-9A-HJ-NP-Za-km-z]+/g, '[peer]'],
]

/** Longer than any word; or in the base of nearly all CIDs, as short as one that holds its own block can be. */
const cid = /\b(?:[\w-]{32,}|ba[fgh][a-z2-7]{5,})\b/gi

const maxCharacters = 300

/** Returns the message on one line, without addresses, hosts, peer IDs and paths of a disk, in 300 characters. */
export function publicWords(message: string): string {
  // Cut first: nobody needs patterns run over a megabyte.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to go.
  let words = message.slice(0, 4 * maxCharacters).replace(/[\u0000-\u001f\u007f]+/g, ' ')
  for (const [what, instead] of hidden) words = words.replace(what, instead)
  words = words.replace(/(?<![\w/.\]-])\/[\w.@+-]+\/[^\s"'`,;:)]*/g, (path) =>
    contentPath.test(path) ? path : '[path]',
  )
  return words.trim().slice(0, maxCharacters)
}

/** Returns the message without CIDs: whose content a backend had trouble with is nothing for a log. */
export function withoutCids(message: string): string {
  return message.replace(cid, '[cid]')
}
