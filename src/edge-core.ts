import type { BackendConfig, Config } from '#src/config/config.ts'
import { digestOf, knowsHash } from '#src/content/digest.ts'
import { linksOf } from '#src/content/links.ts'
import type { BackendRpc } from '#src/relay/backend.ts'
import { Relay } from '#src/relay/relay.ts'
import { keepByRpc } from '#src/rpc/keep.ts'
import { withoutCids } from '#src/rpc/public-words.ts'
import { refsByRpc } from '#src/rpc/refs.ts'
import type { Log } from '#src/telemetry/log.ts'
import { SparingLog } from '#src/telemetry/sparing-log.ts'

/**
 * The part of the composition root that fills the ports of the core: clock, hashes, log, a backend's RPC.
 */

export interface RelayHooks {
  /** The edge stops: what is lost now is no news. */
  readonly stopping: () => boolean
  /** See `RelayDeps`. */
  readonly reach: (address: string) => void
}

/** Returns the core, with the real world behind its ports. */
export function createRelay(config: Config, log: Log, { stopping, reach }: RelayHooks): Relay {
  const { client, miss, preload } = config
  const now = (): number => performance.now()
  const sparing = new SparingLog({ warn: (fields, message) => log.warn(fields, message), now })
  return new Relay(
    {
      clock: { now },
      digestOf,
      knowsHash,
      linksOf,
      observer: {
        backendState: (backend, state, reason) => {
          if (stopping()) return
          if (state === 'ready') log.info({ backend }, 'Backend is ready')
          else log.warn({ backend, state, reason }, 'Backend is not ready')
        },
        gatewayState: (backend, state, reason) => {
          if (stopping()) return
          if (state === 'back') log.info({ backend }, 'Gateway works again')
          else log.info({ backend, reason }, 'Gateway failed, blocks come by Bitswap meanwhile')
        },
        preloadTrouble: (backend, what, reason) => {
          const fields = { backend, reason: withoutCids(reason) }
          if (!stopping()) sparing.warn(`${what} ${backend}`, fields, preloadTroubles[what])
        },
      },
      reach,
    },
    {
      client: { ...client, fetchesPerMinute: miss.budgetPerMinute },
      miss,
      preload,
      cacheBytes: config.cacheBytes,
      lanes: config.lanes,
    },
  )
}

const preloadTroubles = {
  lost: 'Backend failed a refs, another one was looked for',
  'no-copy': 'A copy of preloaded content was not made',
} as const

/** Returns how each backend is told of preload; not at all where that is off. */
export function preloadBy({ preload }: Config): (backend: BackendConfig & { kind: 'rpc' }) => BackendRpc {
  return (backend) => {
    if (!preload.on) return {}
    const keep = preload.pin === 'false' ? undefined : keepByRpc(backend, preload.pin)
    return { refs: refsByRpc(backend), ...(keep && { keep }) }
  }
}
