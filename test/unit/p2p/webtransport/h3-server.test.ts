import { afterEach, expect, test } from 'bun:test'
import type { NativeEvent, NativeServer, Rwebtransport } from '#src/p2p/webtransport/addon.ts'
import { H3Server } from '#src/p2p/webtransport/h3-server.ts'
import type { H3Session } from '#src/p2p/webtransport/h3-session.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'

/** The addon's server, so far as QUIC connections and sessions go. */
class FakeAddon {
  readonly open = new Set<number>()
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
    if (this.open.has(session)) queueMicrotask(() => this.tell({ type: 'stats', session }))
  }

  serverCloseSession(_: NativeServer, session: number): void {
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

async function started(places = Number.POSITIVE_INFINITY) {
  const addon = new FakeAddon()
  const sessions: H3Session[] = []
  const counted = { open: 0 }
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
      session: (session) => sessions.push(session) > 0,
    },
  )
  servers.push(server)
  return { addon, server, sessions, counted }
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

const neverTold = { data() {}, ended() {}, wasReset() {}, stopped() {}, written() {} }
