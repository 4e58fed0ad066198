import type { MultihashKey } from '#src/bitswap/cid.ts'
import { byAffinity } from '#src/pool/policy.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Client } from '#src/relay/client.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'

/**
 * Yields the backends to ask for a block in order of promise, each once, ready or not: where it or a block
 * that links to it was seen, then where this client was last served, then what the pool's policy says.
 */
export function* route(
  key: MultihashKey,
  client: Client | undefined,
  whereabouts: Whereabouts,
  backends: readonly Backend[],
): Generator<Backend> {
  const known = whereabouts.find(key)
  if (known !== undefined) yield known
  const recent = client?.recent
  if (recent !== undefined && recent !== known) yield recent
  for (const backend of byAffinity(key, backends)) {
    if (backend !== known && backend !== recent) yield backend
  }
}
