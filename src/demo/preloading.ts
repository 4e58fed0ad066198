import type { DemoFile } from '#src/demo/content.ts'
import type { IpfsNode } from '#src/demo/ipfs-node.ts'
import { KitsuneError } from '#src/util/errors.ts'

/** What came of telling the edge about a file. */
export interface Preloaded {
  readonly cid: string
  /** Blocks that a backend says it has: the root and all that it lists under it. */
  readonly blocks: number
  readonly ms: number
}

/** Adds a file to a page and does what js-ipfs does then: it calls refs on the edge, and reads the answer. */
export async function preload(
  page: IpfsNode,
  file: DemoFile,
  webUrl: string,
  signal: AbortSignal,
): Promise<Preloaded> {
  const cid = await page.add(file)
  const startedMs = performance.now()
  const response = await fetch(`${webUrl}/api/v0/refs?r=true&arg=${cid}`, { method: 'POST', signal })
  const lines = (await response.text()).trim().split('\n')
  const fault = response.ok ? lines.find((line) => !line.endsWith('"Err":""}')) : lines[0]
  if (fault !== undefined) {
    throw new KitsuneError('DEMO_PRELOAD_FAILED', 'What the page added did not reach a backend', {
      facts: { status: response.status, answer: fault },
    })
  }
  return { cid, blocks: lines.length + 1, ms: performance.now() - startedMs }
}
