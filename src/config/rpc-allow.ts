import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import type { Fault } from '#src/config/variable.ts'
import { nearest } from '#src/util/nearest.ts'

/*
 * Which RPC paths may be forwarded to a backend, and why the others may not.
 *
 * A list of what is allowed, not of what is forbidden: Kubo gains commands with every release, and a list of the
 * harmful ones would be open to each new one. On it is what asks the network a question or announces something, with
 * arguments that can be checked one by one. Not on it is what answers with content: clients get content by Bitswap,
 * where each block is verified before it leaves.
 */

/** The commands that can be allowed, as they are called below `/api/v0/`, and `routing/v1` for all of that API. */
export const rpcCommands = [
  'block/stat',
  'dag/resolve',
  'dht/findpeer',
  'dht/findprovs',
  'dht/get',
  'dht/provide',
  'dht/put',
  'dht/query',
  'name/resolve',
  'resolve',
  'routing/findpeer',
  'routing/findprovs',
  'routing/get',
  'routing/provide',
  'routing/put',
  'routing/v1',
] as const
export type RpcCommand = (typeof rpcCommands)[number]

/** What clients call on the node that they let look things up for them: old js-ipfs, and today's browsers. */
const delegates: readonly RpcCommand[] = [
  'block/stat',
  'dht/findpeer',
  'dht/findprovs',
  'dht/get',
  'dht/provide',
  'dht/put',
  'dht/query',
  'resolve',
  'routing/v1',
]

const content = 'answers with content that nobody has verified; clients fetch content by Bitswap'
const inside = 'changes or reveals a node, so it is never forwarded'

/** Why not, for commands that people may try: by their name, else by its first word. */
const reasons: Readonly<Record<string, string>> = {
  refs: 'is served without being allowed; leave it out',
  'refs/local': 'lists what a node stores, so it is never forwarded',
  'block/get': content,
  // Near enough to one that is served to be taken for a misspelling.
  'block/put': inside,
  'dag/put': inside,
  cat: content,
  'dag/export': content,
  'dag/get': content,
  get: content,
  ls: content,
  object: content,
  'routing/reprovide': inside,
  ...Object.fromEntries(
    'add bitswap block bootstrap commands config dag diag files filestore id key log mount name p2p pin ping provide pubsub repo shutdown stats swarm update version'
      .split(' ')
      .map((word) => [word, inside]),
  ),
}

/** Returns the commands of a comma-separated list, and every fault in it; the commands count only if there is none. */
export function parseRpcAllow(text: string): { value: RpcCommand[]; faults: Fault[] } {
  const value = new Set<RpcCommand>()
  const faults: Fault[] = []
  if (text.trim().toLowerCase() === 'none') return { value: [], faults }
  for (const item of text.split(',').map((part) => part.trim())) {
    const parsed = parseItem(item)
    if (parsed.ok) for (const command of parsed.value) value.add(command)
    else faults.push({ found: item, reason: parsed.reason })
  }
  return { value: [...value].sort(), faults }
}

function parseItem(item: string): Parsed<readonly RpcCommand[]> {
  if (item === '') return refused('is empty; a comma too many?')
  // People copy the path of a call.
  const name = item
    .toLowerCase()
    .replace(/^\/?(api\/v0\/)?/, '')
    .replace(/\/\*?$/, '')
  if (name === 'delegates') return taken(delegates)
  const command = rpcCommands.find((known) => known === name)
  if (command !== undefined) return taken([command])
  if (Object.hasOwn(reasons, name)) return refused(reasons[name] ?? '')
  const word = name.split('/', 1)[0] ?? ''
  const guess = nearest(name, [...rpcCommands, 'delegates'])
  if (guess !== undefined) return refused(`is no path that can be forwarded; is it "${guess}"?`)
  if (Object.hasOwn(reasons, word)) return refused(reasons[word] ?? '')
  return refused(`is no path that can be forwarded; those are ${rpcCommands.join(', ')}`)
}
