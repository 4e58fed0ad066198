import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Bystander, startBystander } from '#test/support/bystander.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { requirePeer } from '#test/support/peers.ts'
import { type Doors, type RunningProxy, startHaproxy, startNginx } from '#test/support/proxies.ts'
import { startRawClient } from '#test/support/raw-client.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { rawSocket, upgradeRequest } from '#test/unit/p2p/web-under-test.ts'

/**
 * The examples for operators with the real programs: who the client is arrives at the edge, which tells one 127.0.0.x
 * from another by its limit per address, though all sockets come from 127.0.0.1.
 */

const haveHaproxy = requirePeer('haproxy')
const haveNginx = requirePeer('nginx')
const haveNginxStream = requirePeer('nginx-stream')

/** Per address; the load balancer's own checks take a place or two of its own. */
const places = 4
const env = {
  KITSUNE_MISS: 'dont-have',
  KITSUNE_TRUSTED_PROXIES: '127.0.0.1',
  KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: String(places),
}
const keep = keepUntilAfterEach()
let bystander: Bystander

beforeAll(async () => {
  bystander = await startBystander()
})
afterAll(() => bystander?.stop())

function startEdge(more: Record<string, string> = {}): Promise<EdgeProcess> {
  return startEdgeProcess({ backends: [bystander.backend.addr], env: { ...env, ...more } })
}

function doorsOf(edge: EdgeProcess): Doors {
  const [tcp, web] = [edge.tcp, edge.ws].map((address) => Number(/\/tcp\/(\d+)/.exec(address)?.[1]))
  return { tcp: tcp ?? 0, web: web ?? 0 }
}

/** A client that fetches by libp2p. */
async function fetches(address: string): Promise<void> {
  const client = keep(await startRawClient(address))
  const wants = bystander.contentWants().slice(0, 100)
  await client.send({ wants })
  await client.until(({ blocks }) => blocks.size === wants.length)
}

let addresses = 1
/** Nobody was at this address before, so nothing of him is still counted. */
function freshAddress(): string {
  return `127.0.0.${++addresses}`
}

/** Sends a request from `localAddress` and leaves its socket open; what came: a status, or `closed`. */
async function asks(port: number, localAddress: string, request: string): Promise<string> {
  const opened = rawSocket(port, localAddress)
  keep({ stop: async () => opened.stop() })
  opened.socket.write(request)
  let closed = false
  void opened.closed.then(() => {
    closed = true
  })
  await until(() => closed || opened.received().includes('\r\n\r\n'))
  return opened.received() === '' ? 'closed' : opened.received().slice(9, 12)
}

const healthz = (...lines: string[]): string =>
  ['GET /healthz HTTP/1.1', 'Host: node0.example.org', ...lines, '\r\n'].join('\r\n')

async function outcomes(count: number, of: () => Promise<string>): Promise<string[]> {
  const all: string[] = []
  for (let i = 0; i < count; i++) all.push(await of())
  return all
}

async function dials(port: number, localAddress: string): Promise<string> {
  const dialled = startRawClient(`/ip4/127.0.0.1/tcp/${port}`, { localAddress })
  return dialled.then(
    (client) => {
      keep(client)
      return 'open'
    },
    () => 'closed',
  )
}

const admitted = (what: string, then: string): string[] => [...new Array<string>(places).fill(what), then]

/** By the PROXY protocol each socket counts for its client, on both doors. */
function provesDoors(proxy: () => RunningProxy, edge: () => EdgeProcess): void {
  test('clients fetch over tcp and ws', async () => {
    await fetches(`/ip4/127.0.0.1/tcp/${proxy().tcp}`)
    await fetches(`/ip4/127.0.0.1/tcp/${proxy().web}/ws`)
  })

  test.each<[string, string, (localAddress: string) => Promise<string>]>([
    ['libp2p over tcp', 'open', (from) => dials(proxy().tcp, from)],
    ['WebSocket', '101', (from) => asks(proxy().web, from, upgradeRequest())],
    ['HTTP', '200', (from) => asks(proxy().web, from, healthz())],
    [
      'HTTP with a forged header',
      '200',
      (from) => asks(proxy().web, from, healthz('X-Forwarded-For: 9.9.9.9')),
    ],
  ])('%s: one address is limited, another is not', async (_, welcome, from) => {
    const [first, second] = [freshAddress(), freshAddress()]
    expect(await outcomes(places + 1, () => from(first))).toEqual(admitted(welcome, 'closed'))
    expect(await from(second)).toBe(welcome)
  })

  test('checks and all of the above were refused for the limit only', async () => {
    expect(Object.keys((await edge().metrics()).refused('client'))).toEqual([
      'too-many-connections-per-address',
    ])
  })
}

describe.skipIf(!haveHaproxy).each([1, 2] as const)('haproxy.cfg, PROXY protocol version %d', (version) => {
  let edge: EdgeProcess
  let proxy: RunningProxy
  beforeAll(async () => {
    edge = await startEdge({ KITSUNE_PROXY_PROTOCOL: 'tcp,ws' })
    proxy = await startHaproxy(doorsOf(edge), version)
    await edge.untilReady()
  }, 30_000)
  afterAll(async () => {
    await proxy?.stop()
    await edge?.stop()
  })

  provesDoors(
    () => proxy,
    () => edge,
  )

  test('who comes past it, or without a header, is closed and counted', async () => {
    const { tcp, web } = doorsOf(edge)
    for (const port of [tcp, web]) {
      expect(await asks(port, '127.0.0.1', healthz())).toBe('closed')
      expect(await asks(port, freshAddress(), 'PROXY TCP4 127.0.0.3 127.0.0.1 1 2\r\n')).toBe('closed')
    }
    const refused = (await edge.metrics()).refused('client')
    expect([refused['bad-proxy-header'], refused['untrusted-proxy']]).toEqual([2, 2])
  })
})

describe.skipIf(!haveNginxStream)('nginx-stream.conf', () => {
  let edge: EdgeProcess
  let proxy: RunningProxy
  beforeAll(async () => {
    edge = await startEdge({ KITSUNE_PROXY_PROTOCOL: 'tcp,ws' })
    proxy = await startNginx(doorsOf(edge), 'nginx-stream.conf')
    await edge.untilReady()
  }, 30_000)
  afterAll(async () => {
    await proxy?.stop()
    await edge?.stop()
  })

  provesDoors(
    () => proxy,
    () => edge,
  )
})

describe.skipIf(!haveNginx)('nginx.conf', () => {
  let edge: EdgeProcess
  let proxy: RunningProxy
  beforeAll(async () => {
    edge = await startEdge()
    proxy = await startNginx(doorsOf(edge), 'nginx.conf')
    await edge.untilReady()
  }, 30_000)
  afterAll(async () => {
    await proxy?.stop()
    await edge?.stop()
  })

  test('clients fetch over ws', async () => {
    await fetches(`/ip4/127.0.0.1/tcp/${proxy.web}/ws`)
  })

  test('one address is limited in WebSockets and in requests, another is not, whatever it says', async () => {
    const upgrade = (from: string, ...lines: string[]) => asks(proxy.web, from, upgradeRequest(...lines))
    const ask = (from: string, ...lines: string[]) => asks(proxy.web, from, healthz(...lines))
    const [first, second] = [freshAddress(), freshAddress()]
    expect(await outcomes(places + 1, () => upgrade(first))).toEqual(admitted('101', '429'))
    expect(await ask(first)).toBe('429')
    expect(await ask(first, `X-Forwarded-For: ${second}`)).toBe('429')
    expect(await ask(first, `Forwarded: for=${second}`)).toBe('429')
    expect(await ask(second)).toBe('200')
    expect(await ask(second, `X-Forwarded-For: ${first}`)).toBe('200')
    expect(await ask(second, `Forwarded: for=${first}`)).toBe('200')
    expect(await upgrade(second, `X-Forwarded-For: ${first}, 127.0.0.1`)).toBe('101')
    expect(Object.keys((await edge.metrics()).refused('client'))).toEqual([
      'too-many-connections-per-address',
    ])
  })

  test('in front of an edge that does not trust it, all clients are one', async () => {
    const wary = keep(await startEdge({ KITSUNE_TRUSTED_PROXIES: '10.0.0.5' }))
    const front = keep(await startNginx(doorsOf(wary), 'nginx.conf'))
    const statuses = await outcomes(places + 1, () => asks(front.web, freshAddress(), upgradeRequest()))
    // nginx finds its connection closed, and says so in its own way.
    expect(statuses).toEqual(admitted('101', '502'))
  })
})
