import { parseContentPath, rootOf } from '#src/http/content-path.ts'
import { answerRefs } from '#src/http/refs-answer.ts'
import type { KnowsHash } from '#src/relay/ports.ts'
import type { RefsCalls } from '#src/relay/preload/refs.ts'

/** Longer than a page needs to bring one block, and no longer than it waits for an answer. */
const timeoutMs = 30_000

export interface BlockRequest {
  /** A CID, as text; a path is left to the backend. */
  readonly key: string
  readonly address: string
  readonly signal: AbortSignal
}

/** Has a backend fetch one block from its caller, by a refs that lists no deeper; resolves when that is over. */
export async function fetchFromCaller(
  refs: RefsCalls,
  knowsHash: KnowsHash,
  { key, address, signal }: BlockRequest,
): Promise<void> {
  const path = parseContentPath(key)
  if (!path.ok || path.value.names.length > 0) return
  const root = rootOf(path.value.cid, knowsHash)
  if (!root.ok || root.value.inline !== undefined) return
  const shallow = { recursive: false, unique: false, edges: false, maxDepth: -1, format: '' }
  const query = { ...shallow, arg: path.value.cid.toString(), root: root.value }
  const response = await answerRefs(refs, { query, address, timeoutMs }, signal)
  // Read to its end, or the work would end with its only caller.
  await response.text().catch(() => undefined)
}
