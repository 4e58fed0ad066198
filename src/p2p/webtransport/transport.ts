/**
 * The WebTransport door for libp2p: what its listeners share. It dials nobody. Memory: the certificates.
 */

import { join } from 'node:path'
import type { ComponentLogger, PeerId, PrivateKey, Transport } from '@libp2p/interface'
import { listenOnly } from '#src/p2p/door/door-transport.ts'
import type { Gate } from '#src/p2p/door/gater.ts'
import { loadAddon, type Rwebtransport } from '#src/p2p/webtransport/addon.ts'
import { Certificates } from '#src/p2p/webtransport/certificates.ts'
import { WebTransportListener, type WebTransportOptions } from '#src/p2p/webtransport/listener.ts'
import { OwnPorts } from '#src/p2p/webtransport/own-ports.ts'

export interface WebTransportDeps {
  readonly gate: Gate
  /** Certificates are kept in a directory of it. */
  readonly dataDir: string
  /** Told what an operator should know. */
  readonly warn: (message: string, facts: Readonly<Record<string, unknown>>) => void
  /** Unix time in ms. Default: the clock. */
  readonly now?: () => number
}

interface Components {
  readonly privateKey: PrivateKey
  readonly peerId: PeerId
  readonly logger: ComponentLogger
}

/** Returns a libp2p transport that listens; rejects where its native code does not load, or its certificates cannot be kept. */
export async function webTransportDoor(
  deps: WebTransportDeps,
  options: WebTransportOptions = {},
  load: () => Promise<Rwebtransport> = loadAddon,
): Promise<(components: Components) => Transport> {
  const addon = await load().catch((error: unknown) => {
    throw new Error('the native code of rwebtransport does not load on this machine', { cause: error })
  })
  const { now = Date.now, warn, gate } = deps
  const certificates = new Certificates({ directory: join(deps.dataDir, 'webtransport'), now, warn })
  await certificates.update()
  const ports = new OwnPorts()
  return ({ privateKey, peerId, logger }) =>
    listenOnly('webtransport', ({ upgrader }) => {
      const made = { gate, addon, certificates, privateKey, peerId, logger, upgrader, ports, now, warn }
      return new WebTransportListener(made, options)
    })
}
