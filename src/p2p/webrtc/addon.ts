/**
 * Where WebRTC's native code comes from: node-datachannel's own search among its platforms. The build puts the addon
 * of its target in the place of this file.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Returns the addon; rejects where there is none for this machine. */
export async function loadAddon(): Promise<unknown> {
  // It is a dependency of @libp2p/webrtc, of which the edge needs nothing else.
  const library = createRequire(import.meta.resolve('@libp2p/webrtc')).resolve('node-datachannel')
  const loader = join(dirname(library), '..', '..', 'esm', 'lib', 'node-datachannel.mjs')
  return ((await import(loader)) as { default: unknown }).default
}
