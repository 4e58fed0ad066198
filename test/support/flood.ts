/** Streams that are sent to without end, to see who makes whom wait. */
import type { MessageStream } from '@libp2p/interface'
import type { MuxedConnection } from '#src/mux/short-way.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'

const mostBytes = 512 * 1024 * 1024

/** Sends as long as it may, and whenever it may again; returns how much was taken. */
export function flood(stream: MessageStream): () => number {
  const piece = new Uint8Array(65_536)
  let sent = 0
  // Open, a stream may be closing already.
  const writable = (): boolean => (stream as MuxedConnection).writeStatus === 'writable'
  const send = (): void => {
    while (writable() && sent < mostBytes) {
      sent += piece.length
      if (!stream.send(piece)) return
    }
  }
  stream.addEventListener('drain', send)
  send()
  return () => sent
}

/** Returns how much has been read of a stream from now on. */
export function readFrom(stream: MessageStream): () => number {
  let read = 0
  stream.addEventListener('message', ({ data }) => {
    read += data.byteLength
  })
  return () => read
}

/** Resolves when a count has stayed what it is for `turns` looks at it. */
export async function untilStill(count: () => number, turns = 50): Promise<void> {
  let before = -1
  let still = 0
  await until(() => {
    still = count() === before ? still + 1 : 0
    before = count()
    return still === turns
  })
}
