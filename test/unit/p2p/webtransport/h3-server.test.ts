import { afterEach, expect, test } from 'bun:test'
import type { NativeEvent, NativeServer, Rwebtransport } from '#src/p2p/webtransport/addon.ts'
import { H3Server } from '#src/p2p/webtransport/h3-server.ts'
import type { H3Session } from '#src/p2p/webtransport/h3-session.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'

/** The addon's server, so far as QUIC connections and sessions go. */
class FakeAddon {
  readonly open = new Set<number>()
  /** Connections whose clients leave no room for the last word. */
  readonly deaf = new Set<number>()
  /** What each client has sent, and was sent. */
  traffic = { bytesReceived: 0, packetsReceived: 0, bytesSent: 0 }
  tell: (event: NativeEvent) => void = () => {}
  #begun = 0

  serverListen(...args: Parameters<Rwebtransport['serverListen']>): NativeServer {
    this.tell = args[9]
    queueMicrotask(() => this.tell({ type: 'listening', port: 4_004 }))
    return {}
  }

  /** So many clients do the QUIC handshake, of which nothing is told. */
  connect(count = 1): number {
    for (let i = 0; i < count; i++) this.open.add(++this.#begun)
    return this.#begun
  }

  ready(session: number): void {
    this.tell({ type: 'serverReady', session, path: '/', remoteAddress: '203.0.113.7', remotePort: 1 })
  }

  serverGetStats(_: NativeServer, session: number): void {
    const { traffic } = this
    if (this.open.has(session)) queueMicrotask(() => this.tell({ type: 'stats', session, ...traffic }))
  }

  serverReset(_: NativeServer, session: number, stream: number): void {
    if (stream !== 0) return
    this.deaf.delete(session)
    this.serverCloseSession(_, session)
  }

  serverCloseSession(_: NativeServer, session: number): void {
    if (this.deaf.has(session)) return
    if (this.open.delete(session)) queueMicrotask(() => this.tell({ type: 'closed', session }))
  }

  serverShutdown(): void {
    this.open.clear()
    queueMicrotask(() => this.tell({ type: 'serverClosed' }))
  }
}

const servers: H3Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function started(places = Number.POSITIVE_INFINITY, wanted = true) {
  const addon = new FakeAddon()
  const sessions: H3Session[] = []
  const counted = { open: 0 }
  const deaths = { count: 0 }
  const server = await H3Server.listen(
    addon as unknown as Rwebtransport,
    {
      host: '127.0.0.1',
      port: 4_004,
      certificatePath: '',
      reusePort: false,
      sessionTimeoutMs: 100,
      lookEveryMs: 10,
    },
    {
      admit: () => {
        if (counted.open >= places) return undefined
        counted.open++
        return () => counted.open--
      },
      session: (session) => sessions.push(session) > 0 && wanted,
      died: () => deaths.count++,
    },
  )
  servers.push(server)
  return { addon, server, sessions, counted, deaths }
}

test('a connection that asks for no session is counted, and closed in time; a session stays', async () => {
  const { addon, server, sessions, counted } = await started()
  const [first, second] = [addon.connect(), addon.connect()]
  await until(() => counted.open === 2)
  addon.ready(second)
  expect(sessions).toHaveLength(1)
  await until(() => !addon.open.has(first))
  expect([addon.open.has(second), counted.open, server.connections]).toEqual([true, 1, 1])
  expect(server.remotes).toEqual([{ host: '203.0.113.7', port: 1 }])
})

test('ten thousand that ask for nothing are all found, have no more places than there are, and go', async () => {
  const { addon, server, counted } = await started(300)
  addon.connect(10_000)
  await until(() => addon.open.size <= 300)
  expect(counted.open).toBeLessThanOrEqual(300)
  await until(() => addon.open.size === 0)
  expect([counted.open, server.connections]).toEqual([0, 0])
  const late = addon.connect()
  addon.ready(late)
  expect(server.remotes).toHaveLength(1)
})

test('the end of the server is the end of its sessions, and of what is counted', async () => {
  const { addon, server, sessions, counted } = await started()
  addon.ready(addon.connect())
  addon.connect(5)
  await until(() => counted.open === 6)
  let closed = 0
  sessions[0]?.tell({ stream: () => neverTold, closed: () => closed++ })
  await server.close()
  expect([closed, counted.open]).toEqual([1, 0])
})

test('a session with streams in one direction, or datagrams, is no libp2p and is closed', async () => {
  const { addon, counted } = await started()
  for (const type of ['stream', 'datagram'] as const) {
    const session = addon.connect()
    addon.ready(session)
    addon.tell({ type, session, streamId: 14, bidi: false } as NativeEvent)
    await until(() => !addon.open.has(session))
  }
  await until(() => counted.open === 0)
})

test('a client that leaves no room for the last word goes all the same, wanted or not', async () => {
  for (const wanted of [false, true]) {
    const { addon, sessions, counted } = await started(1, wanted)
    const deaf = addon.connect()
    addon.deaf.add(deaf)
    addon.ready(deaf)
    if (wanted) sessions[0]?.close()
    await until(() => addon.open.size === 0)
    await until(() => counted.open === 0)
  }
})

test('a client that sends more than it says on its streams is closed; one that only sends is not', async () => {
  const { addon, sessions } = await started()
  const session = addon.connect()
  addon.ready(session)
  const mebibyte = 1024 * 1024
  const send = async (mebibytes: number): Promise<void> => {
    addon.traffic = { bytesReceived: mebibytes * mebibyte, packetsReceived: mebibytes * 800, bytesSent: 0 }
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  await send(30)
  expect(addon.open.has(session)).toBe(true)
  sessions[0]?.tell({ stream: () => neverTold, closed() {} })
  addon.tell({ type: 'stream', session, streamId: 4, bidi: true })
  addon.tell({ type: 'streamData', session, streamId: 4, data: new Uint8Array(70 * mebibyte) })
  await send(90)
  expect(addon.open.has(session)).toBe(true)
  await send(300)
  expect(addon.open.has(session)).toBe(false)
})

test('a server that ends by itself says so, once; one that is told to does not', async () => {
  const { addon, server, deaths, counted } = await started()
  addon.connect(3)
  await until(() => counted.open === 3)
  addon.serverShutdown()
  await until(() => deaths.count === 1)
  expect([server.gone, counted.open]).toEqual([true, 0])
  await server.close()
  expect(deaths.count).toBe(1)
  const other = await started()
  await other.server.close()
  expect(other.deaths.count).toBe(0)
})

const neverTold = { data() {}, ended() {}, wasReset() {}, stopped() {}, written() {} }
