/**
 * The processes under test: the backend itself, the edge in front of it, HAProxy there, and whatever `--other`
 * names. Each is one process; the backend is the same one for all of them.
 */
import { existsSync } from 'node:fs'
import type { GoLoadOptions } from '#test/support/go-load.ts'
import { type GoServe, type GoServeOptions, startGoServe } from '#test/support/go-peer.ts'
import { startEdge } from './edge.ts'
import { haproxyPath, startHaproxy } from './haproxy.ts'
import type { Lab } from './lab.ts'
import { startOther } from './other.ts'
import type { SubjectKind } from './results.ts'

/** Something that serves blocks at an address. */
export interface Subject {
  readonly kind: SubjectKind
  readonly pid: number
  /** Multiaddrs with /p2p/…; empty where it does not listen so. */
  readonly tcp: string
  readonly ws: string
  /** `http://127.0.0.1:PORT` for the calls of js-ipfs; empty where it has none. */
  readonly web: string
  /** The one security protocol that its clients offer; default what Go offers. */
  readonly security?: 'noise' | 'tls'
  /** Who loads it, where Go does not dial it. */
  readonly program?: GoLoadOptions['program']
  stop(): Promise<unknown>
}

/** A backend and what stands in front of it. */
export interface Stage {
  readonly backend: GoServe
  readonly subjects: readonly Subject[]
}

export interface StageOptions {
  readonly content: GoServeOptions
  /** Variables of the edge. */
  readonly env?: Readonly<Record<string, string>>
  /** Only these; default all that there are. */
  readonly kinds?: readonly SubjectKind[]
}

/** Starts a backend with its content and every subject in front of it. */
export async function startStage(lab: Lab, options: StageOptions): Promise<Stage> {
  const has = (kind: SubjectKind): boolean => options.kinds?.includes(kind) ?? true
  lab.progress('starting the backend')
  const backend = await lab.keep(startGoServe({ muxers: 'yamux,mplex', ws: true, ...options.content }))
  const direct: Subject = {
    kind: 'direct',
    pid: backend.process.pid,
    tcp: backend.addrs.find((address) => !address.includes('/ws')) ?? '',
    ws: backend.addrs.find((address) => address.includes('/ws')) ?? '',
    web: backend.rpc,
    stop: () => backend.stop(),
  }
  const subjects = [direct]
  if (has('edge'))
    subjects.push(await lab.keep(startEdge(lab, { backends: [entryOf(backend)], env: options.env ?? {} })))
  if (has('haproxy') && existsSync(haproxyPath)) subjects.push(await lab.keep(startHaproxy(direct)))
  if (has('other') && lab.options.other !== undefined) {
    subjects.push(await lab.keep(startOther(lab.options.other, direct)))
  }
  return { backend, subjects: subjects.map((each) => securedBy(lab.options.security, each)) }
}

/** Returns the subject as clients dial it that offer this protocol alone. */
export function securedBy<S extends Subject>(security: Subject['security'] | undefined, subject: S): S {
  return security === undefined ? subject : { ...subject, security }
}

/** Returns the backend as `KITSUNE_BACKENDS` has it. */
function entryOf({ rpc, gateway }: GoServe): string {
  return gateway === null ? rpc : `${rpc};gateway=${gateway}`
}
