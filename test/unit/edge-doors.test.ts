import { afterEach, expect, test } from 'bun:test'
import { multiaddr } from '@multiformats/multiaddr'
import type { Config } from '#src/config/config.ts'
import { openDoors, openPlainHttp } from '#src/edge-doors.ts'
import { Gate } from '#src/p2p/door/gater.ts'
import type { FrontHost } from '#src/p2p/host.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { DoorState } from '#src/telemetry/metrics.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** Opens ports of plain HTTP beside a wss door. */
async function open(options: {
  http?: readonly string[]
  announce?: readonly string[]
  wss?: string
  bound?: string
}) {
  const { http = ['/ip4/127.0.0.1/tcp/0'], announce = [], wss = '/ip4/0.0.0.0/tcp/443/tls/ws' } = options
  const config = {
    http: { listen: http, acmeWebroot: undefined },
    proxies: { trusted: [], protocol: [] },
    announce,
    listen: [{ address: wss, kind: 'wss', optional: false }],
  } as unknown as Config
  const gate = new Gate({ refused: () => {} }, { maxConnections: 10, maxConnectionsPerAddress: 10 })
  const bound = options.bound === undefined ? [] : [multiaddr(options.bound)]
  const plain = await openPlainHttp(config, gate, { listening: () => bound } as unknown as FrontHost)
  stops.push(plain.stop)
  return plain.listening.map((address) => Number(address.split('/')[4]))
}

async function redirected(port: number | undefined): Promise<string | null> {
  const answer = await fetch(`http://127.0.0.1:${port}/x`, { redirect: 'manual' })
  return answer.headers.get('location')
}

test.each([
  ['the port that clients are told', { announce: ['/dns4/a.test/tcp/9443/wss'] }, ':9443'],
  ['else the one that is listened on', { wss: '/ip4/0.0.0.0/tcp/8443/tls/ws' }, ':8443'],
  ['without a number if it is that of https', {}, ''],
  [
    'that which the system picked',
    { wss: '/ip4/0.0.0.0/tcp/0/tls/ws', bound: '/ip4/10.0.0.1/tcp/4711/tls/ws' },
    ':4711',
  ],
])('clients are redirected to %s', async (_what, options, port) => {
  const [plain] = await open(options)
  expect(await redirected(plain)).toBe(`https://127.0.0.1${port}/x`)
})

test('a port that is taken is named, with who has it and what to do; those before it are closed again', async () => {
  const [port] = await open({})
  // Free at another address.
  const other = `/ip4/127.0.0.2/tcp/${port}`
  const http = [other, `/ip4/127.0.0.1/tcp/${port}`]
  const refused = await open({ http }).then(
    () => undefined,
    (error) => error,
  )
  expect(refused).toMatchObject({
    code: 'LISTEN_FAILED',
    facts: { reasons: [expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+: .*another/)] },
  })
  expect(await open({ http: [other] })).toEqual([Number(port)])
})

test('doors that open later are told, and nothing is said to be open when none did', async () => {
  const states = (...faults: (string | undefined)[]) =>
    faults.map((fault, i) => ({ kind: 'wss', address: `wss ${i}`, fault })) as unknown as DoorState[]
  const told = async (late: readonly DoorState[]) => {
    const lines: unknown[] = []
    const say = (facts: object, message: string) => lines.push([message, facts])
    const log = { info: say, warn: say, error: say } as unknown as Log
    const frontHost = { open: async () => states('no certificate'), openLate: async () => late }
    const tells: unknown[] = []
    const parts = { certificates: undefined, frontHost: frontHost as unknown as FrontHost, log }
    await openDoors(parts, (doors) => tells.push(doors))
    await new Promise(setImmediate)
    return { tells, lines: lines.slice(1) }
  }
  const opened = await told(states(undefined, 'taken'))
  expect(opened.tells).toEqual([states('no certificate'), states(undefined, 'taken')])
  expect(opened.lines).toEqual([
    ['A door that is optional stays closed', { listen: 'wss 1', reason: 'taken' }],
    ['Doors are open now, with their certificates', { listen: ['wss 0'] }],
  ])
  expect((await told(states('taken'))).lines).toEqual([
    ['A door that is optional stays closed', { listen: 'wss 0', reason: 'taken' }],
  ])
})
