import { createCipheriv } from 'node:crypto'

/**
 * What the demo's IPFS nodes hold: made from a seed, so that what comes back can be compared with what it must
 * be, byte by byte, without trusting anything that carried it. Memory: the files themselves, about 11 MiB.
 */

export interface DemoFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** The leaf size of the files, as Kubo and js-ipfs cut them. */
const chunkBytes = 256 * 1024

/** Returns a file of `sizeBytes` that looks random and is the same for the same seed. */
export function seededFile(name: string, seed: number, sizeBytes: number): DemoFile {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16))
  return { name, bytes: new Uint8Array(cipher.update(Buffer.alloc(sizeBytes))) }
}

/** Returns a file with that text. */
export function textFile(name: string, text: string): DemoFile {
  return { name, bytes: new TextEncoder().encode(text) }
}

/** Yields the file in the pieces that become its blocks. */
export async function* chunksOf(file: DemoFile): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.bytes.length; at += chunkBytes) {
    yield file.bytes.subarray(at, at + chunkBytes)
  }
}

/** How what was received compares with what was sent. */
export type Comparison =
  | { readonly right: true; readonly bytes: number }
  | { readonly right: false; readonly bytes: number; readonly fault: string }

/** Compares a stream with the file it should be; reads no further than the first difference. */
export async function compare(expected: DemoFile, received: AsyncIterable<Uint8Array>): Promise<Comparison> {
  const { bytes: wanted } = expected
  let at = 0
  for await (const chunk of received) {
    const part = wanted.subarray(at, at + chunk.length)
    if (part.length < chunk.length) {
      return { right: false, bytes: at, fault: `more than its ${wanted.length} bytes came` }
    }
    if (Buffer.compare(part, chunk) !== 0) {
      const offset = at + chunk.findIndex((byte, index) => byte !== part[index])
      return { right: false, bytes: at, fault: `byte ${offset} is wrong` }
    }
    at += chunk.length
  }
  if (at === wanted.length) return { right: true, bytes: at }
  return { right: false, bytes: at, fault: `only ${at} of its ${wanted.length} bytes came` }
}
