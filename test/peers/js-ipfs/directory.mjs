// A directory of seeded files: what is in it, and reading it back.
import { createHash } from 'node:crypto'
import { seededChunks } from './seeded-chunks.mjs'

/** Files read at once: each is a want of its own. */
const parallelReads = 64

/** Yields the files as ipfs-core's addAll takes them, and notes the sha256 of each under its name. */
export function* seededDirectory(seed, files, fileBytes, digests) {
  for (let i = 0; i < files; i++) {
    const name = `file-${String(i).padStart(6, '0')}`
    const chunks = [...seededChunks(seed + i, fileBytes)]
    const hash = createHash('sha256')
    for (const chunk of chunks) hash.update(chunk)
    digests.set(name, hash.digest('hex'))
    yield { path: name, content: chunks }
  }
}

/** The sha256 (hex) of a directory, by the digests of its files. */
export function directoryDigest(digests) {
  const hash = createHash('sha256')
  for (const name of [...digests.keys()].sort()) hash.update(`${digests.get(name)} ${name}\n`)
  return hash.digest('hex')
}

/**
 * Reads every file of a flat directory; resolves with their digests by name. By the links of the directory's
 * block, since ls() waits for one file after the other.
 */
export async function catDirectory(node, cid, signal) {
  const { value } = await node.dag.get(cid, { signal, preload: false })
  const entries = [...value.Links]
  const digests = new Map()
  const next = async () => {
    for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
      const hash = createHash('sha256')
      for await (const chunk of node.cat(entry.Hash, { signal, preload: false })) hash.update(chunk)
      digests.set(entry.Name, hash.digest('hex'))
    }
  }
  await Promise.all(Array.from({ length: parallelReads }, next))
  return digests
}
