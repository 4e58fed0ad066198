/**
 * Every door beside TCP with Noise: what a byte costs, what a new connection costs, and what one holds that does
 * nothing. Both belong to one edge and are measured in turns, so that what the machine does meanwhile meets both.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import type { DoorKind } from '#src/config/listen.ts'
import { doorOfConnection } from '#src/p2p/door/front-doors.ts'
import { repositoryRoot } from '#test/support/build-once.ts'
import { makeAuthority, writeCertificate } from '#test/support/certificates.ts'
import { type GoServe, startGoServe } from '#test/support/go-peer.ts'
import { type BenchCase, perCpuSecond } from '../case.ts'
import { startEdge } from '../edge.ts'
import type { Lab } from '../lab.ts'
import { inTurns, type LoadCase, loadOf } from '../load-case.ts'
import { measure } from '../measure.ts'
import { type Figure, isDisturbed, type Run } from '../results.ts'
import type { Subject } from '../subjects.ts'
import { connections, memoryPerConnection } from './connections.ts'

interface DoorSpec {
  /** As in `door-ws`. */
  readonly name: string
  readonly title: string
  readonly kind: DoorKind
  readonly listen: string
  /** Default: Noise. */
  readonly security?: 'noise' | 'tls'
  /** Who loads both doors; default: Go. */
  readonly program?: Subject['program']
  /** Runs in CI too. */
  readonly ci?: boolean
}

const tcpListen = '/ip4/127.0.0.1/tcp/0'
/** As in the case `256k`. */
const load = { blocks: 1024, blockBytes: 256 * 1024, clients: 8, wants: 16, sendDontHave: true }

/** A backend, and the edge before it as two subjects: `edge` by the door of the case, `tcp` by that one. */
interface DoorStage {
  readonly backend: Subject
  readonly subjects: readonly [edge: Subject, tcp: Subject]
}

async function startDoors(lab: Lab, spec: DoorSpec): Promise<DoorStage> {
  const { kind, listen, security = 'noise', program } = spec
  const loaded = program && { program }
  lab.progress('starting the backend')
  const backend = await lab.keep(startGoServe({ blocks: load.blocks, blockBytes: load.blockBytes }))
  const env = {
    KITSUNE_CACHE: '0',
    KITSUNE_LISTEN: [...new Set([tcpListen, listen])].join(','),
    ...(kind === 'wss' && (await certificate(lab))),
  }
  const edge = await lab.keep(startEdge(lab, { backends: [backend.rpc], env }))
  const door = edge.addresses.find((address) => doorOfConnection(multiaddr(address)) === kind)
  if (door === undefined) throw new Error(`the edge has no such door: ${edge.addresses.join(', ')}`)
  return {
    backend: subjectOf(backend),
    subjects: [
      { ...edge, ...loaded, tcp: door, security },
      { ...edge, ...loaded, kind: 'tcp', security: 'noise' },
    ],
  }
}

/** Returns the variables of a certificate that is there until the lab is cleared. */
async function certificate(lab: Lab): Promise<Record<string, string>> {
  const directory = await mkdtemp(join(tmpdir(), 'kitsune-bench-tls-'))
  await lab.keep(Promise.resolve({ stop: () => rm(directory, { recursive: true, force: true }) }))
  const issued = await (await makeAuthority()).issue(['127.0.0.1'])
  const { certFile, keyFile } = await writeCertificate(directory, 'web', issued)
  return { KITSUNE_TLS_CERT_FILE: certFile, KITSUNE_TLS_KEY_FILE: keyFile }
}

function subjectOf(backend: GoServe): Subject {
  const { process, addr, rpc } = backend
  return { kind: 'direct', pid: process.pid, tcp: addr, ws: '', web: rpc, stop: () => backend.stop() }
}

function doorCase(spec: DoorSpec): BenchCase {
  const name = `door-${spec.name}`
  const title = `${spec.title}: bytes, new connections and idle ones, beside TCP with Noise`
  return {
    name,
    title,
    groups: spec.ci === true ? ['doors', 'ci'] : ['doors'],
    async run(lab) {
      const stage = await startDoors(lab, spec)
      const spoken: LoadCase = { name, title, groups: [], unit: 'MiB', load }
      const runs = await inTurns(lab, name, stage, (subject, round) =>
        measure(lab, subject, stage.backend, { unit: 'MiB', round, load: loadOf(lab, spoken, round) }),
      )
      const visits = await inTurns(lab, `${name}, new connections`, stage, (subject, round) =>
        connections(lab, subject, stage.backend, round),
      )
      await lab.clear()
      const figures = [ratio(runs), ...connectFigures(visits), ...(await idleFigures(lab, name, spec))]
      return { unit: 'MiB', runs, figures, series: [], faults: faultsOf(runs, visits), notes: [] }
    },
  }
}

/** Returns how much more or less a byte costs by the door than by TCP, round by round. */
function ratio(runs: readonly Run[]): Figure {
  const tcp = perCpuSecond(runs, 'tcp')
  const values = [...perCpuSecond(runs, 'edge')].map(
    ([round, value]) => value / (tcp.get(round) ?? Number.NaN),
  )
  const disturbed = isDisturbed(runs.filter(({ round }) => round > 0))
  return { name: 'ratio', title: 'this door ÷ tcp, per CPU-second', unit: '', values, disturbed }
}

function connectFigures(visits: readonly Run[]): Figure[] {
  return (['edge', 'tcp'] as const).map((subject) => {
    const own = visits.filter((run) => run.subject === subject && run.round > 0)
    const values = own.map((run) => (run.cpuSeconds * 1000) / run.work)
    const title = `CPU per new connection, ${words[subject]}`
    return { name: `connect-${subject}`, title, unit: 'ms', values, disturbed: isDisturbed(own) }
  })
}

/** A new edge for each: memory that was freed would be used again and hide what is needed. */
async function idleFigures(lab: Lab, name: string, spec: DoorSpec): Promise<Figure[]> {
  const count = lab.options.quick ? 200 : 1000
  const found: Record<'edge' | 'tcp', number[]> = { edge: [], tcp: [] }
  for (let round = 1; round <= lab.rounds; round++) {
    for (const at of [0, 1] as const) {
      const subject = (await startDoors(lab, spec)).subjects[at]
      lab.progress(
        `${name}: ${count} idle connections, ${words[subject.kind as 'edge']}, round ${round} of ${lab.rounds}`,
      )
      found[subject.kind as 'edge'].push(await memoryPerConnection(lab, subject, { count }))
      await lab.clear()
    }
  }
  return (['edge', 'tcp'] as const).map((subject) => ({
    name: `idle-${subject}`,
    title: `memory per idle connection, ${words[subject]}`,
    unit: 'KiB',
    values: found[subject],
    disturbed: false,
  }))
}

const words = { edge: 'this door', tcp: 'tcp' } as const

function faultsOf(loads: readonly Run[], visits: readonly Run[]): string[] {
  const faults: string[] = []
  for (const { subject, round, lost, wrong, errors } of loads) {
    if (lost + wrong + errors === 0) continue
    const what = `${lost} wants lost, ${wrong} wrong blocks, ${errors} broken streams or connections`
    faults.push(`${what} at ${subject === 'tcp' ? 'tcp' : 'this door'}, round ${round}`)
  }
  for (const { errors, round } of visits)
    if (errors > 0) faults.push(`${errors} connections failed, round ${round}`)
  return faults
}

export const doorCases: readonly BenchCase[] = [
  doorCase({ name: 'ws', title: 'WebSocket', kind: 'ws', listen: `${tcpListen}/ws` }),
  doorCase({ name: 'wss', title: 'Secure WebSocket', kind: 'wss', listen: `${tcpListen}/tls/ws` }),
  doorCase({ name: 'tls', title: 'TCP with TLS', kind: 'tcp', listen: tcpListen, security: 'tls' }),
  doorCase({
    name: 'quic',
    title: 'QUIC',
    kind: 'quic-v1',
    listen: '/ip4/127.0.0.1/udp/0/quic-v1',
    ci: true,
  }),
  doorCase({
    name: 'webrtc',
    title: 'WebRTC-direct',
    kind: 'webrtc-direct',
    listen: '/ip4/127.0.0.1/udp/0/webrtc-direct',
  }),
  doorCase({
    name: 'webtransport',
    title: 'WebTransport',
    kind: 'webtransport',
    listen: '/ip4/127.0.0.1/udp/0/quic-v1/webtransport',
    // go-libp2p speaks another draft of it.
    program: [process.execPath, join(repositoryRoot, 'scripts', 'bench', 'js-load.ts')],
  }),
]
