/**
 * Memory for bytes on their way to a socket, used again once the socket has taken them: fresh pages for
 * every message cost more than filling them.
 *
 * Invariant: a buffer is given out to one message at a time; whoever does not hand it back loses it to the
 * garbage collector, no harm done. Memory: `kept` idle buffers per size.
 */

const smallestBytes = 16 * 1024
const largestBytes = 1024 * 1024
/** Idle buffers per size: enough for what a turn of the loop has in flight, 32 MiB at most in all. */
const kept = 16

const idle = new Map<number, ArrayBuffer[]>()
const lent = new WeakSet<ArrayBufferLike>()

/** Returns `bytes` of memory with anything in it. */
export function lend(bytes: number): Uint8Array {
  if (bytes < smallestBytes || bytes > largestBytes) return Buffer.allocUnsafeSlow(bytes)
  const size = 2 ** Math.ceil(Math.log2(bytes))
  const buffer = idle.get(size)?.pop() ?? new ArrayBuffer(size)
  lent.add(buffer)
  return new Uint8Array(buffer, 0, bytes)
}

/** Says whether the memory is to be handed back. */
export function isLent(bytes: Uint8Array): boolean {
  return lent.has(bytes.buffer)
}

/** Hands memory back: nobody looks at it any more. */
export function handBack(bytes: Uint8Array): void {
  const buffer = bytes.buffer
  if (!lent.delete(buffer)) return
  const free = idle.get(buffer.byteLength)
  if (free === undefined) idle.set(buffer.byteLength, [buffer as ArrayBuffer])
  else if (free.length < kept) free.push(buffer as ArrayBuffer)
}
