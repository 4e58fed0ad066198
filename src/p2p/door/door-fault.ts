/**
 * Why a door cannot be opened, in one line for an operator: what is wrong and what to do. Errors come from Node, from
 * libp2p (which puts its own advice and stack traces around them) and from native code; each says the same in its own words.
 */

import process from 'node:process'
import { hostPortOf } from '#src/config/addresses.ts'
import type { ListenAddress } from '#src/config/listen.ts'
import { holderOfPort } from '#src/p2p/door/port-holder.ts'
import { lookAtTempDir, tempDirFault } from '#src/p2p/door/temp-dir.ts'
import { describeError } from '#src/util/errors.ts'

type Door = Pick<ListenAddress, 'address'>
type Explain = (door: Door, text: string) => string | Promise<string>

const explanations: readonly (readonly [RegExp, Explain])[] = [
  [/EADDRINUSE|address (is )?(already )?in use|os error 98\b/i, taken],
  [/EACCES|EPERM|permission denied|os error 13\b/i, forbidden],
  [/EADDRNOTAVAIL|(cannot|can't) assign requested address|os error 99\b/i, notHere],
  [
    /EAFNOSUPPORT|address family not supported|os error 97\b/i,
    () => 'this system has no IPv6: leave the address out',
  ],
]

/** What is said of native code that does not load. */
const noNativeCode = /\.node\b|shared object|native code|cannot find (module|package)|dlopen/i

/** Returns why the transport of a door could not be made, in that line, without the address. */
export async function explainMissing(error: unknown): Promise<string> {
  const text = plain(describeError(error))
  return noNativeCode.test(text) ? noAddon(text) : text
}

/** Returns why its address could not be opened, likewise. */
export async function explainClosed(door: Door, error: unknown): Promise<string> {
  const text = plain(describeError(error))
  const [, explain] = explanations.find(([pattern]) => pattern.test(text)) ?? []
  return explain === undefined ? text : explain(door, text)
}

async function taken({ address }: Door): Promise<string> {
  const { port, protocol = 'tcp' } = hostPortOf(address)
  const holder = (await holderOfPort(protocol, port)) ?? 'another process'
  if (holder.endsWith(`(pid ${process.pid})`))
    return 'another address of KITSUNE_LISTEN has the port for both families'
  return `the ${protocol === 'udp' ? 'UDP ' : ''}port is in use by ${holder}: stop that, or choose another port`
}

function forbidden({ address }: Door): string {
  const { port } = hostPortOf(address)
  if (port >= 1024)
    return `this user may not open port ${port}: the system's policy (SELinux, AppArmor) has the say`
  return `this user may not open ports below 1024: setcap cap_net_bind_service=+ep ${process.execPath}, or AmbientCapabilities=CAP_NET_BIND_SERVICE under systemd`
}

function notHere({ address }: Door): string {
  return `no interface of this machine has the address ${hostPortOf(address).host}: listen on one that it has, or on all`
}

async function noAddon(text: string): Promise<string> {
  return (
    (await unpackFault()) ?? `its native code does not load on ${process.platform}-${process.arch}: ${text}`
  )
}

/** Returns why native code cannot be unpacked, with what to do; undefined where that is not why it does not load. */
export async function unpackFault(): Promise<string | undefined> {
  const { path, fault } = await lookAtTempDir()
  if (fault === undefined) return undefined
  return `its native code cannot be unpacked, ${path} ${tempDirFault(fault)}: set TMPDIR to a directory that can be written and executed from`
}

/** Keeps what libp2p says of the address, or else the first line, and no path that exists only inside the executable. */
function plain(text: string): string {
  const lines = text.split('\n').map((line) => line.trim())
  const told = lines.map((line) => /^\/ip[46]\/\S+: (.+)$/.exec(line)?.[1]).find((line) => line !== undefined)
  return (told ?? lines[0] ?? '').replace(/^(Error: )+/, '').replaceAll('/$bunfs/root/', '')
}
