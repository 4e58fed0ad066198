/**
 * Self time by room: which part of the edge the samples of a CPU profile were taken in. Pure.
 *
 * A sample belongs to the innermost function that names a file. Native functions have none: their time belongs to
 * the room of who called them, because that is where it can be saved, unless their name says what they are.
 * Samples are counted, not the time between them: no sample is taken while the thread sleeps, so the first one
 * after a pause would be charged with all of it.
 */
import type { RoomShare } from './results.ts'
import { median } from './statistics.ts'

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

/** In order: the first that matches a file of ours decides. */
const ownRooms: readonly (readonly [RegExp, string])[] = [
  [/src\/(p2p\/(noise|peer-tls|swarm-key)\/|content\/digest)/, 'crypto'],
  [/src\/(bitswap\/(message|writer|cid|block)|p2p\/frames)/, 'codec'],
  [/src\/(relay|bitswap|pool|util|content)\//, 'relay'],
  [/src\/p2p\/(tcp|web|quic|webrtc|webtransport)\//, 'sockets'],
  [/src\/p2p\//, 'p2p'],
  [/src\/(http|rpc|telemetry|config|cli|edge|main)/, 'http and telemetry'],
]

/** The same for files of libraries. */
const libraryRooms: readonly (readonly [RegExp, string])[] = [
  [/sodium-native|libp2p-noise|@noble\//, 'crypto'],
  [/yamux|mplex/, 'mux'],
  [/protons/, 'codec'],
  [/@libp2p\/(tcp|websockets)|node_modules\/ws\//, 'sockets'],
  [/hono|pino|prom-client/, 'http and telemetry'],
]

/** Of the runtime's own modules only these are rooms; others work for who calls them. */
const runtimeRooms: readonly (readonly [RegExp, string])[] = [
  [/^node:(net|stream|_http|http)/, 'sockets'],
  [/^node:crypto/, 'crypto'],
]

const roomsByName: readonly (readonly [RegExp, string])[] = [
  [/^\((idle|program)\)$/, 'idle'],
  [/garbage|^\(gc\)$/i, 'gc'],
  [/sodium|aead|chacha|poly1305/i, 'crypto'],
]

/** Returns the room that a function is in by what it says of itself, `undefined` for native ones. */
export function roomOf({ functionName, url }: ProfileNode['callFrame']): string | undefined {
  const byName = roomIn(roomsByName, functionName)
  if (byName !== undefined) return byName
  if (!url.includes('/')) return roomIn(runtimeRooms, url)
  // What is neither ours nor named here came with libp2p: its streams, events, lists, addresses.
  if (url.includes('/node_modules/')) return roomIn(libraryRooms, url) ?? 'libp2p'
  return roomIn(ownRooms, url) ?? 'other'
}

function roomIn(rooms: readonly (readonly [RegExp, string])[], text: string): string | undefined {
  return rooms.find(([pattern]) => pattern.test(text))?.[1]
}

/** Which part of a profile counts, in seconds from its beginning. */
export interface Window {
  readonly from: number
  readonly to: number
}

/** Returns the rooms by self time, the greatest first, idle time left out. */
export function selfTimeByRoom(
  profile: CpuProfile,
  window: Window = { from: 0, to: Number.POSITIVE_INFINITY },
  topPerRoom = 5,
): RoomShare[] {
  const tree = treeOf(profile.nodes)
  const intervalMs = median(profile.timeDeltas) / 1000
  const rooms = new Map<string, Map<string, number>>()
  let samples = 0
  let atSeconds = 0
  for (const [i, id] of profile.samples.entries()) {
    atSeconds += (profile.timeDeltas[i] ?? 0) / 1e6
    if (atSeconds < window.from || atSeconds > window.to) continue
    const room = roomOfNode(id, tree)
    if (room === 'idle') continue
    const functions = rooms.get(room) ?? new Map<string, number>()
    rooms.set(room, functions)
    const name = nameOf(id, tree)
    functions.set(name, (functions.get(name) ?? 0) + 1)
    samples++
  }
  return [...rooms]
    .map(([room, functions]) => ({ room, functions, count: sum(functions.values()) }))
    .sort((a, b) => b.count - a.count)
    .map(({ room, functions, count }) => ({
      room,
      selfMs: count * intervalMs,
      share: count / samples,
      top: [...functions]
        .sort(([, a], [, b]) => b - a)
        .slice(0, topPerRoom)
        .map(([name, times]) => ({ name, share: times / samples })),
    }))
}

interface Tree {
  readonly nodes: ReadonlyMap<number, ProfileNode>
  readonly parents: ReadonlyMap<number, number>
}

function treeOf(list: readonly ProfileNode[]): Tree {
  const parents = new Map<number, number>()
  for (const { id, children } of list) for (const child of children ?? []) parents.set(child, id)
  return { nodes: new Map(list.map((node) => [node.id, node])), parents }
}

/** Returns the function of a sample and those that called it, the innermost first. */
function* callersOf(id: number, { nodes, parents }: Tree): Generator<ProfileNode['callFrame']> {
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
    const node = nodes.get(at)
    if (node !== undefined) yield node.callFrame
  }
}

function roomOfNode(id: number, tree: Tree): string {
  for (const frame of callersOf(id, tree)) {
    const room = roomOf(frame)
    if (room !== undefined) return room
  }
  return 'native'
}

/** Returns `function file:line`; of a native function, the file that called it. */
function nameOf(id: number, tree: Tree): string {
  let name = ''
  for (const { functionName, url, lineNumber } of callersOf(id, tree)) {
    const place = url.split('/').slice(-2).join('/')
    if (name === '') {
      // A regular expression is its own name, and may be a page long.
      name = functionName === '' ? '(anonymous)' : functionName.slice(0, 60)
      if (url !== '') return `${name} ${place}:${lineNumber + 1}`
    } else if (url !== '') return `${name} ← ${place}`
  }
  return name
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
