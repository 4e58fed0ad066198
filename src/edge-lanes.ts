import type { Libp2p } from 'libp2p'
import type { Config } from '#src/config/config.ts'
import type { EdgeOptions } from '#src/edge.ts'
import { createLaneHost } from '#src/p2p/host.ts'
import { laneKey } from '#src/p2p/identity.ts'
import type { Relay } from '#src/relay/relay.ts'
import { libp2pLogger } from '#src/telemetry/libp2p-logger.ts'
import type { Log } from '#src/telemetry/log.ts'

/** The part of the composition root for the lanes: returns their hosts, not started. */
export function createLaneHosts(
  config: Config,
  options: EdgeOptions,
  log: Log,
  relay: Relay,
): Promise<Libp2p[]> {
  return Promise.all(
    Array.from({ length: config.lanes }, async (_, lane) =>
      createLaneHost({
        start: false,
        privateKey: await laneKey(options.laneSeed, lane),
        version: options.version.version,
        security: config.security.back,
        wrongSwarmKey: () => relay.counters.refusedBackend['wrong-swarm-key']++,
        logger: libp2pLogger(log),
      }),
    ),
  )
}
