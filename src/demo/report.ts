import type { Fetched } from '#src/demo/fetching.ts'

/** What one client did. */
export interface Round {
  readonly client: string
  readonly fetched: readonly Fetched[]
  /** Peer IDs of all that the client was connected to. */
  readonly peers: readonly string[]
}

/** Whether the demo showed what it says it shows. */
export interface Verdict {
  readonly right: boolean
  /** For people, a sentence each: what was right, or everything that was not. */
  readonly sentences: readonly string[]
}

/** Returns the verdict over all rounds: right only if every byte was, and all of it came by way of the edge. */
export function judge(rounds: readonly Round[], edgePeerId: string): Verdict {
  const faults: string[] = []
  let files = 0
  let bytes = 0
  for (const { client, fetched, peers } of rounds) {
    for (const { file, comparison } of fetched) {
      files += 1
      bytes += comparison.bytes
      if (!comparison.right) faults.push(`${file.name} did not reach ${client} intact: ${comparison.fault}.`)
    }
    if (peers.length !== 1 || peers[0] !== edgePeerId) {
      faults.push(`The edge alone should be the peer of ${client}, which had ${peers.length} in all.`)
    }
  }
  if (files === 0) faults.push('Nothing was fetched.')
  if (faults.length > 0) return { right: false, sentences: faults }
  return {
    right: true,
    sentences: [
      `Every byte was right: ${formatSize(bytes)} in ${files} fetches, compared with the originals.`,
    ],
  }
}

/** Returns a table of what a client fetched, where it came from and how long it took. */
export function tableOf(fetched: readonly Fetched[]): string {
  const rows = fetched.map(({ file, comparison, from, ms }) => [
    file.name,
    formatSize(file.bytes.length),
    from.size === 0 ? 'the edge itself' : [...from.keys()].join(' and '),
    String([...from.values()].reduce((sum, { blocks }) => sum + blocks, 0)),
    `${Math.round(ms)} ms`,
    formatSpeed(comparison.bytes, ms),
    comparison.right ? 'right' : 'WRONG',
  ])
  return columns([['file', 'size', 'came from', 'blocks', 'time', 'speed', 'content'], ...rows])
}

/** Returns what a client that asks for the same again cost the backends, in a sentence or two. */
export function repeatOf(fetched: readonly Fetched[]): string {
  const bytes = fetched.reduce((sum, { comparison }) => sum + comparison.bytes, 0)
  const ms = fetched.reduce((sum, each) => sum + each.ms, 0)
  const blocks = fetched
    .flatMap(({ from }) => [...from.values()])
    .reduce((sum, given) => sum + given.blocks, 0)
  const head = `${formatSize(bytes)} in ${Math.round(ms)} ms (${formatSpeed(bytes, ms)}).`
  return blocks === 0
    ? `${head} The backends gave no block for it: all of it came from the edge's cache.`
    : `${head} The backends gave ${blocks} blocks for it, the edge's cache the rest.`
}

/** Returns rows as lines, each column as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  }
  return rows
    .map((row) => `  ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`.trimEnd())
    .join('\n')
}

/** Returns a size as people read it: "28 B", "8.0 MiB". */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}

/** A speed measured over a few bytes says nothing but how long one answer takes, so there is none for them. */
function formatSpeed(bytes: number, ms: number): string {
  return bytes < 64 * 1024 || ms <= 0 ? '-' : `${(bytes / 1024 ** 2 / (ms / 1000)).toFixed(0)} MiB/s`
}
