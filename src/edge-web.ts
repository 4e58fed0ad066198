import type { Config } from '#src/config/config.ts'
import { knowsHash } from '#src/content/digest.ts'
import { fetchFromCaller } from '#src/http/caller-block.ts'
import { parseContentPath, rootOf } from '#src/http/content-path.ts'
import { createPublic, type PublicApp, type PublicOutcome, publicOutcomes } from '#src/http/public.ts'
import { addressGroup } from '#src/p2p/addresses.ts'
import type { BackendPool } from '#src/p2p/pool.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { RefsCalls } from '#src/relay/preload/refs.ts'
import type { Relay } from '#src/relay/relay.ts'
import type { Log } from '#src/telemetry/log.ts'

/**
 * The part of the composition root that joins the public HTTP API with what it stands on.
 */

export interface WebParts {
  readonly config: Config
  readonly relay: Relay
  readonly pool: BackendPool
  readonly log: Log
  /** This edge as clients know it. */
  readonly self: () => { readonly id: string; readonly addresses: readonly string[] }
  /** Says whether a peer ID is that of one of our lanes. */
  readonly isLane: (peerId: string) => boolean
}

export interface Web extends PublicApp {
  /** Requests answered, by outcome. */
  readonly counts: Readonly<Record<PublicOutcome, number>>
}

/** Returns the app of the web ports. */
export function createWeb({ config, relay, pool, log, self, isLane }: WebParts): Web {
  const counts = Object.fromEntries(publicOutcomes.map((outcome) => [outcome, 0])) as Web['counts'] &
    Record<PublicOutcome, number>
  const refs = config.preload.on ? byAddressGroup(relay.refs) : undefined
  const gateways = config.backends.some(({ gateway }) => gateway !== undefined)
  const app = createPublic({
    refs,
    forward:
      config.rpcAllow.length === 0
        ? undefined
        : {
            allowed: config.rpcAllow,
            choose: (key) => pool.rpcFor(key, holderOf(relay, key)),
            ...(refs !== undefined && {
              fetchFromCaller: (key, address, signal) =>
                fetchFromCaller(refs, knowsHash, { key, address, signal }),
            }),
            chooseGateway: gateways ? (key) => pool.gatewayFor(key) : undefined,
            disguise: { hides: (peerId) => pool.isBackend(peerId) || isLane(peerId), self },
            groupOf: addressGroup,
            onLost: (reason) => log.debug({ reason }, 'A forwarded call was lost'),
          },
    knowsHash,
    count: (outcome) => counts[outcome]++,
    onError: (error, path) => log.error({ err: error, path }, 'Public request failed'),
  })
  return { fetch: app.fetch, counts }
}

/** Returns the backend that was seen to have what a key is the CID of. */
function holderOf(relay: Relay, key: string): Backend | undefined {
  const path = parseContentPath(key)
  const root = path.ok ? rootOf(path.value.cid, knowsHash) : path
  return root.ok ? relay.holderOf(root.value.multihash) : undefined
}

/** What counts as one address for libp2p counts as one here. */
function byAddressGroup(calls: RefsCalls): RefsCalls {
  return {
    refs: (request, wake) => calls.refs({ ...request, address: addressGroup(request.address) }, wake),
  }
}
