import { type Comparison, compare, type DemoFile } from '#src/demo/content.ts'
import { added, type Figures } from '#src/demo/figures.ts'
import type { IpfsNode } from '#src/demo/ipfs-node.ts'

/** A file that a backend holds. */
export interface Placed {
  readonly file: DemoFile
  readonly cid: string
  /** What the demo calls the backend that holds it. */
  readonly holder: string
}

/** What came of fetching one file. */
export interface Fetched extends Placed {
  readonly comparison: Comparison
  readonly ms: number
  /** What each backend gave for it, by the backend's name; those that gave nothing are left out. */
  readonly from: Figures
}

export interface FetchDeps {
  readonly client: Pick<IpfsNode, 'fetch'>
  /** What each backend gave so far. */
  readonly figures: () => Promise<Figures>
}

/** Fetches the files one after the other, so that the backends' figures can be told apart by file. */
export async function fetchAll(
  placed: readonly Placed[],
  deps: FetchDeps,
  signal: AbortSignal,
): Promise<Fetched[]> {
  const fetched: Fetched[] = []
  for (const each of placed) {
    const before = await deps.figures()
    const startedMs = performance.now()
    const comparison = await compare(each.file, deps.client.fetch(each.cid, signal))
    const ms = performance.now() - startedMs
    fetched.push({ ...each, comparison, ms, from: added(before, await deps.figures()) })
  }
  return fetched
}
