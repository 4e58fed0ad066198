import { describe } from 'bun:test'
import { yamux as libraryYamux } from '@chainsafe/libp2p-yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pInit } from 'libp2p'
import { type DoorKind, doorsOf } from '#src/config/listen.ts'
import { yamux } from '#src/mux/yamux.ts'
import { type DoorContext, doorOfConnection, FrontDoors } from '#src/p2p/door/front-doors.ts'
import { Gate } from '#src/p2p/door/gater.ts'
import { nativeNoise } from '#src/p2p/noise/noise.ts'
import { complianceSuite } from '#test/support/compliance.ts'
import { withRetries } from '#test/support/mocha.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { muxerOptions } from '../mux/muxers.ts'

/**
 * libp2p's own tests of a transport, over the doors as the front makes them: who dials is the library's transport,
 * as clients have it, or another. None is left out.
 *
 * After each test the gate's counts are back at nothing: whatever the suite does, nobody stays counted.
 */
const suite = await complianceSuite(() => import('@libp2p/interface-compliance-tests/transport'))

type Transport = NonNullable<Libp2pInit['transports']>[number]

const noise = nativeNoise().encrypter
/** Tests take turns: one gate is enough. */
const gate = new Gate({ refused: () => {} }, { maxConnections: 10, maxConnectionsPerAddress: 10 })

/** What a door needs besides a gate. */
type MoreContext = Pick<DoorContext, 'certificates' | 'keeping'>

/** Runs the tests on a door; each may fail `retries` times. */
export function testDoor(
  kind: DoorKind,
  listen: string,
  dialling: Transport,
  more?: () => MoreContext,
  retries = 0,
): void {
  const addresses = [listen, listen]
  const is = (address: Multiaddr): boolean => doorOfConnection(address) === kind
  const matcher = { matchers: [], matches: is, exactMatch: is }
  const context = (): DoorContext => ({
    gate,
    trusts: () => false,
    handleRequest: () => new Response(),
    proxyProtocol: [],
    idleTimeoutMs: 60_000,
    ...more?.(),
  })
  const tests = (): void =>
    suite({
      setup: async () => ({
        dialMultiaddrMatcher: matcher,
        listenMultiaddrMatcher: matcher,
        dialer: {
          transports: [dialling],
          connectionEncrypters: [noise],
          streamMuxers: [libraryYamux()],
        },
        listener: {
          addresses: { listen: addresses },
          transports: await new FrontDoors(doorsOf(addresses, [])).transports(context()),
          connectionEncrypters: [noise],
          streamMuxers: [yamux(muxerOptions)],
          connectionGater: gate.connectionGater(),
        },
      }),
      teardown: () => until(() => gate.open === 0 && gate.addresses === 0),
    })
  describe(kind, () => withRetries(retries, tests))
}
