/**
 * How a host has streams accepted by our muxer. Keeps nothing.
 */

import type { Connection, StreamMuxer } from '@libp2p/interface'
import type { QuickHandler } from '#src/mux/quick-select.ts'
import { YamuxMuxer } from '#src/mux/yamux.ts'

/** Returns the muxer of a connection, which libp2p does not tell by its interface (libp2p 3.3.11). */
export function muxerOf(connection: Connection): StreamMuxer | undefined {
  return (connection as unknown as { muxer?: StreamMuxer }).muxer
}

/** Has streams for `protocols` on a connection accepted without the library, where its muxer is one of ours. */
export function serveQuickly(
  connection: Connection,
  protocols: readonly string[],
  handler: QuickHandler,
): void {
  const muxer = muxerOf(connection)
  if (muxer instanceof YamuxMuxer) muxer.serve(protocols, handler)
}
