/** How streams end. Keeps nothing but a timer per stream that is closing. */

import type { Stream } from '@libp2p/interface'

/** After a clean close a peer has this long to close its own side. */
const closeTimeoutMs = 10_000

/** Resolves when the peer has closed its side of the stream, when the stream is over, or when time is up. */
export function readToItsEnd(stream: Stream, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      stream.removeEventListener('remoteCloseWrite', done)
      stream.removeEventListener('close', done)
      resolve()
    }
    const timer = setTimeout(done, timeoutMs)
    stream.addEventListener('remoteCloseWrite', done)
    stream.addEventListener('close', done)
  })
}

/** Closes our side and resolves when all has left and, if `read`, the peer has read it; after `timeoutMs` at the latest. */
export async function closeFully(stream: Stream, timeoutMs: number, read: boolean): Promise<void> {
  if (stream.status === 'closed') return
  const isRead = read ? readToItsEnd(stream, timeoutMs) : undefined
  await stream.close({ signal: AbortSignal.timeout(timeoutMs) }).catch(() => {})
  await isRead
}

/** Closes our side without waiting, and the whole stream if the peer does not follow. */
export function closeSoon(stream: Stream, timeoutMs = closeTimeoutMs): void {
  stream.close().catch(() => {})
  // Most are closed by now: a peer that closed its side, and nothing that waits to be sent.
  if (stream.status === 'closed') return
  const timer = setTimeout(() => {
    if (stream.status !== 'closed') stream.abort(new Error('not closed by its peer'))
  }, timeoutMs)
  timer.unref?.()
  stream.addEventListener('close', () => clearTimeout(timer), { once: true })
}
