import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Config } from '#src/config/config.ts'
import { createRedirect } from '#src/http/redirect.ts'
import { trustIn } from '#src/p2p/door/client-address.ts'
import { explainClosed } from '#src/p2p/door/door-fault.ts'
import { doorOfConnection } from '#src/p2p/door/front-doors.ts'
import type { Gate } from '#src/p2p/door/gater.ts'
import type { FrontHost } from '#src/p2p/host.ts'
import { Certificates } from '#src/p2p/web/certificates.ts'
import { HttpDoor } from '#src/p2p/web/http-door.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { DoorState } from '#src/telemetry/metrics.ts'
import { KitsuneError } from '#src/util/errors.ts'

/**
 * The part of the composition root for the doors: how they open, their certificates, and the port of plain HTTP.
 */

/** Throws at an announced address with somebody else's peer ID, which would send clients away. */
export function checkAnnounced(config: Config, self: string): void {
  for (const address of config.announce) {
    const named = address.split('/p2p/')[1]
    if (named === undefined || named === self) continue
    throw new KitsuneError('CONFIG_ANNOUNCE', 'KITSUNE_ANNOUNCE names another peer', {
      facts: { address, hint: `The identity served here is ${self}; leave /p2p/… out, it is added.` },
    })
  }
}

/** Returns the certificates of the wss doors; they are read when the first of these is opened. */
export function createCertificates(config: Config, log: Log): Certificates | undefined {
  return config.tls.length === 0 ? undefined : new Certificates(config.tls, log)
}

export interface DoorParts {
  readonly certificates: Certificates | undefined
  readonly frontHost: FrontHost
  readonly log: Log
}

/**
 * Opens the doors of the front, and tells what became of them, again when that changes: wss doors that are optional
 * open when their certificates are there. Whoever gets the first one by http-01 needs the port of plain HTTP before.
 */
export async function openDoors(
  parts: DoorParts,
  tell: (doors: readonly DoorState[]) => void,
): Promise<void> {
  const { certificates, frontHost, log } = parts
  const doors = await frontHost.open()
  tell(doors)
  warnOfClosed(doors, log)
  if (!doors.some(({ kind, fault }) => kind === 'wss' && fault !== undefined)) return
  const openLate = async (): Promise<void> => {
    await certificates?.ready
    const late = await frontHost.openLate('wss')
    if (late.length === 0) return
    tell([...doors.filter(({ kind }) => kind !== 'wss'), ...late])
    warnOfClosed(late, log)
    const opened = late.filter(({ fault }) => fault === undefined).map(({ address }) => address)
    if (opened.length > 0) log.info({ listen: opened }, 'Doors are open now, with their certificates')
  }
  openLate().catch((error: unknown) => log.error({ err: error }, 'Doors could not be opened later'))
}

function warnOfClosed(doors: readonly DoorState[], log: Log): void {
  for (const { address, fault } of doors)
    if (fault !== undefined)
      log.warn({ listen: address, reason: fault }, 'A door that is optional stays closed')
}

/** The ports of plain HTTP. */
export interface PlainHttp {
  readonly listening: readonly string[]
  stop(): Promise<void>
}

/** Opens the ports of plain HTTP; rejects with `LISTEN_FAILED` where one cannot be, with none open. */
export async function openPlainHttp(config: Config, gate: Gate, frontHost: FrontHost): Promise<PlainHttp> {
  const { http, proxies } = config
  const told = httpsPort(
    [...config.announce, ...config.listen.map(({ address }) => address)].map((text) => multiaddr(text)),
  )
  const redirect = createRedirect({
    acmeWebroot: http.acmeWebroot,
    // 0 is any that is free.
    httpsPort: () => told || httpsPort(frontHost.listening()) || 443,
  })
  const doors: HttpDoor[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(doors.map((door) => door.close()))
  }
  for (const address of http.listen) {
    const door = new HttpDoor(
      { gate, trusts: trustIn(proxies.trusted), handleRequest: redirect },
      { proxyProtocol: proxies.protocol.includes('ws') },
    )
    try {
      await door.listen(multiaddr(address))
      doors.push(door)
    } catch (error) {
      await stop()
      const fault = await explainClosed({ address }, error)
      throw new KitsuneError('LISTEN_FAILED', 'Plain HTTP cannot listen', {
        facts: { reasons: [`${address}: ${fault}`], hint: 'See KITSUNE_HTTP_LISTEN.' },
      })
    }
  }
  return { listening: doors.flatMap((door) => door.getAddrs().map(String)), stop }
}

/** The port of the first wss address: what clients are told comes before what is listened on. */
function httpsPort(addresses: readonly Multiaddr[]): number {
  const wss = addresses.find((address) => doorOfConnection(address) === 'wss')
  return Number(wss?.getComponents().find(({ name }) => name === 'tcp')?.value ?? 0)
}
