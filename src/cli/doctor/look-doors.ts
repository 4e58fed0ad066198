/**
 * Opens each door for a moment, as the edge would, to learn whether it could be; and reads the certificates of those that
 * need some.
 */

import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { createServer, isIP } from 'node:net'
import type { CertificateFacts } from '#src/cli/doctor/judge-certificates.ts'
import type { Door, DoorFacts } from '#src/cli/doctor/judge-doors.ts'
import { hostPortOf } from '#src/config/addresses.ts'
import type { CertificatePaths, Config } from '#src/config/config.ts'
import { holderOfPort } from '#src/p2p/door/port-holder.ts'
import { readCertificatePair } from '#src/p2p/web/certificate-pair.ts'
import { describeError, KitsuneError } from '#src/util/errors.ts'

/** Returns every address that an edge would listen on. */
export function doorsOfConfig({ listen, http, adminListen }: Config): Door[] {
  const admin =
    adminListen !== undefined && 'port' in adminListen
      ? [`/ip${isIP(adminListen.host) || 4}/${adminListen.host}/tcp/${adminListen.port}`]
      : []
  return [
    ...listen.map(({ address, optional }) => ({ address, optional, variable: 'KITSUNE_LISTEN' as const })),
    ...http.listen.map((address) => ({ address, optional: false, variable: 'KITSUNE_HTTP_LISTEN' as const })),
    ...admin.map((address) => ({ address, optional: false, variable: 'KITSUNE_ADMIN_LISTEN' as const })),
  ]
}

/** `ours` are the addresses that the edge which runs here has open; undefined where none does. */
export async function lookAtDoor(door: Door, ours: ReadonlySet<string> | undefined): Promise<DoorFacts> {
  const { host, port, protocol = 'tcp' } = hostPortOf(door.address)
  // It says of the doors of the front only which of them it has open.
  if (ours?.has(door.address) || (ours !== undefined && door.variable !== 'KITSUNE_LISTEN'))
    return { door, ours: true }
  const fault = await (protocol === 'udp' ? openUdp(host, port) : openTcp(host, port))
  const holder = fault === 'EADDRINUSE' ? await holderOfPort(protocol, port) : undefined
  return { door, ours: false, ...(fault && { fault }), ...(holder && { holder }) }
}

function openTcp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(codeOf(error)))
    server.listen({ host, port, ipv6Only: host.includes(':') }, () => server.close(() => resolve(undefined)))
  })
}

function openUdp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const six = host.includes(':')
    const socket = createSocket({ type: six ? 'udp6' : 'udp4', ipv6Only: six })
    socket.once('error', (error) => {
      socket.close()
      resolve(codeOf(error))
    })
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => resolve(undefined)))
  })
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : describeError(error)
}

export async function lookAtCertificate({ certFile, keyFile }: CertificatePaths): Promise<CertificateFacts> {
  try {
    const [cert, key] = await Promise.all([certFile, keyFile].map((path) => readFile(path, 'utf8')))
    const { names, notAfterMs } = readCertificatePair(cert ?? '', key ?? '', Date.now())
    return { certFile, names, endsInMs: notAfterMs - Date.now() }
  } catch (error) {
    const told = error instanceof KitsuneError ? error.facts : {}
    const { fault, reason } = told
    const file = fault === 'no-key' || fault === 'mismatch' ? keyFile : certFile
    return {
      certFile,
      fault: reason === undefined ? describeError(error) : `${file} ${reason}`,
      kind: String(fault),
    }
  }
}
