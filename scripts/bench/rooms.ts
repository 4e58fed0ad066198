/**
 * Self time by room: which part of the edge the samples of a CPU profile were taken in. Pure.
 *
 * A sample belongs to the innermost function that names a file. Native functions have none: their time belongs to
 * the room of who called them, because that is where it can be saved, unless their name says what they are.
 */
import type { RoomShare } from './results.ts'

/** The part of the `.cpuprofile` format (Chrome's) that is used here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  /** Node ids, one per sample. */
  readonly samples: readonly number[]
  /** µs before each sample. */
  readonly timeDeltas: readonly number[]
}

export interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

/** In order: the first that matches a function's file decides. */
const roomsByFile: readonly (readonly [RegExp, string])[] = [
  [/sodium|noise|@noble|src\/content\/digest|chacha|ed25519/i, 'crypto'],
  [/yamux|mplex|multistream/i, 'mux'],
  [/src\/bitswap\/(message|writer|cid|block)|src\/p2p\/frames|protons|varint/i, 'codec'],
  [/src\/(relay|bitswap|pool|util|content)\//, 'relay'],
  [
    /src\/p2p\/(tcp|socket|web|send-buffers)|@libp2p\/(tcp|websockets)|\/ws\/|node:(net|stream|_http)/,
    'sockets',
  ],
  [/src\/p2p\//, 'p2p'],
  [/uint8arraylist|uint8arrays|@libp2p|libp2p|it-|@multiformats|multiformats/i, 'libp2p'],
  [/src\/(http|rpc|telemetry|config|cli|edge|main)|hono|pino|prom-client/, 'http and telemetry'],
]

const roomsByName: readonly (readonly [RegExp, string])[] = [
  [/^\((idle|program)\)$/, 'idle'],
  [/garbage|^\(gc\)$/i, 'gc'],
  [/sodium|aead|chacha|poly1305/i, 'crypto'],
]

/** Returns the room that a function is in by what it says of itself, `undefined` for native ones. */
export function roomOf({ functionName, url }: ProfileNode['callFrame']): string | undefined {
  const byName = roomsByName.find(([pattern]) => pattern.test(functionName))
  if (byName !== undefined) return byName[1]
  if (url === '' || url.includes('[native')) return undefined
  return roomsByFile.find(([pattern]) => pattern.test(url))?.[1] ?? 'other'
}

/** Returns the rooms by self time, the greatest first, idle time left out. */
export function selfTimeByRoom(profile: CpuProfile, topPerRoom = 5): RoomShare[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map<number, number>()
  for (const { id, children } of profile.nodes) for (const child of children ?? []) parents.set(child, id)

  const rooms = new Map<string, Map<string, number>>()
  for (const [i, id] of profile.samples.entries()) {
    const room = roomOfNode(id, nodes, parents)
    if (room === 'idle') continue
    const functions = rooms.get(room) ?? new Map<string, number>()
    rooms.set(room, functions)
    const name = nameOf(nodes.get(id)?.callFrame)
    functions.set(name, (functions.get(name) ?? 0) + (profile.timeDeltas[i] ?? 0) / 1000)
  }

  const sums = [...rooms].map(([room, functions]) => ({ room, functions, selfMs: sum(functions.values()) }))
  const total = sum(sums.map(({ selfMs }) => selfMs))
  return sums
    .sort((a, b) => b.selfMs - a.selfMs)
    .map(({ room, functions, selfMs }) => ({
      room,
      selfMs,
      share: selfMs / total,
      top: [...functions]
        .sort(([, a], [, b]) => b - a)
        .slice(0, topPerRoom)
        .map(([name, ms]) => ({ name, share: ms / total })),
    }))
}

function roomOfNode(
  id: number,
  nodes: ReadonlyMap<number, ProfileNode>,
  parents: ReadonlyMap<number, number>,
): string {
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
    const node = nodes.get(at)
    const room = node && roomOf(node.callFrame)
    if (room !== undefined) return room
  }
  return 'native'
}

/** Returns `function file:line`, the file without its directories. */
function nameOf(frame: ProfileNode['callFrame'] | undefined): string {
  if (frame === undefined) return '?'
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName
  if (frame.url === '') return name
  return `${name} ${frame.url.split('/').slice(-2).join('/')}:${frame.lineNumber + 1}`
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
