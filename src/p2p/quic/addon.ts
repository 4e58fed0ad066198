/**
 * Where QUIC's native code comes from: the package's own search among its platforms. The build puts the addon of its
 * target in the place of this file.
 */

/** Returns the addon; rejects where there is none for this machine. */
export async function loadAddon(): Promise<unknown> {
  // What the package exports would bind a socket per address family in order to dial; what it is made of does not.
  return import(new URL('napi.js', import.meta.resolve('@chainsafe/libp2p-quic')).href)
}
