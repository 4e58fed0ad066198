/** What a backend really holds, asked by its RPC without the network: the proof that something was persisted. */

/**
 * Returns the CIDs of a DAG that a backend lacks, among the root and what it is told is under it.
 * By `block/stat`, which Kubo and the Go peer answer from their own blocks when told to be offline.
 */
export async function missingAt(rpc: string, cids: Iterable<string>): Promise<string[]> {
  const missing: string[] = []
  const left = [...new Set(cids)]
  const next = async (): Promise<void> => {
    for (let cid = left.pop(); cid !== undefined; cid = left.pop()) {
      const response = await post(`${rpc}/api/v0/block/stat?arg=${cid}&offline=true`)
      if (!response.ok) missing.push(cid)
      await response.arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: 8 }, next))
  return missing
}

/** Returns a root and all CIDs under it, as a backend lists them; rejects when it cannot within ten seconds. */
export async function listedBy(rpc: string, root: string): Promise<string[]> {
  const response = await post(`${rpc}/api/v0/refs?arg=${root}&r=true&unique=true&timeout=10s`)
  const text = await response.text()
  if (!response.ok) throw new Error(`refs ${root}: ${response.status} ${text}`)
  const lines = text.split('\n').filter((line) => line !== '')
  return [root, ...lines.map((line) => refIn(root, line))]
}

function refIn(root: string, line: string): string {
  const { Ref, Err } = JSON.parse(line) as { Ref: string; Err: string }
  if (Err) throw new Error(`refs ${root}: ${Err}`)
  return Ref
}

const post = (url: string): Promise<Response> =>
  fetch(url, { method: 'POST', signal: AbortSignal.timeout(30_000) })
