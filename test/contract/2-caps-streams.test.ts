import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { type Bystander, startBystander } from '#test/support/bystander.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { startRawClient } from '#test/support/raw-client.ts'
import { rawFrame, varint } from '#test/support/raw-message.ts'
import { rpcBehaviours, startRogueBackend, startRogueRpc } from '#test/support/rogue-backend.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 2, streams, connections and backends: what is opened and left, slow readers, and rogues behind us. */
let bystander: Bystander
let edge: EdgeProcess
const attackers: { stop(): Promise<unknown> }[] = []
const keep = <T extends { stop(): Promise<unknown> }>(each: T): T => {
  attackers.push(each)
  return each
}

beforeAll(async () => {
  bystander = await startBystander()
  edge = await startEdgeProcess({
    backends: [bystander.backend.addr],
    env: {
      KITSUNE_MISS: 'dont-have',
      KITSUNE_CLIENT_BUFFER: '4MiB',
      KITSUNE_CLIENT_BUFFER_TOTAL: '32MiB',
      KITSUNE_CACHE: '0',
      KITSUNE_MAX_CONNECTIONS: '80',
      KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: '60',
    },
  })
  await edge.untilReady()
  await bystander.join(edge.tcp)
}, 30_000)

afterEach(async () => {
  await Promise.all(attackers.splice(0).map((attacker) => attacker.stop()))
  await edge.untilMetrics(
    (m) => m.sum('kitsune_connections') === 1 && m.sum('kitsune_wants_outstanding') === 0,
  )
})

afterAll(async () => {
  await bystander?.stop()
  await edge?.stop()
})

describe('streams opened and left', () => {
  test.each(['yamux', 'mplex'] as const)(
    'over %s: the oldest go, the newest serve',
    async (muxer) => {
      const before = (await edge.metrics()).refused('client')['too-many-streams'] ?? 0
      const attacker = keep(await startRawClient(edge.tcp, { muxer }))
      for (let batch = 0; batch < 8; batch++) {
        await Promise.all(Array.from({ length: 50 }, () => attacker.open()))
      }
      await bystander.fetches(5)
      const metrics = await edge.untilMetrics((m) => (m.refused('client')['too-many-streams'] ?? 0) > before)
      expect((metrics.refused('client')['too-many-streams'] ?? 0) - before).toBeGreaterThanOrEqual(400 - 256)
      await attacker.send({ wants: bystander.contentWants().slice(0, 5) })
      await attacker.until(({ blocks }) => blocks.size === 5)
    },
    30_000,
  )

  test('a message begun on each of many streams holds no more than its cap', async () => {
    const before = (await edge.metrics()).refused('client')['message-too-big'] ?? 0
    const attacker = keep(await startRawClient(edge.tcp))
    const begun = Buffer.concat([varint(4 * 1024 * 1024), new Uint8Array(200_000)])
    for (let i = 0; i < 100; i++) {
      const stream = await attacker.open()
      stream.send(begun)
    }
    await edge.untilMetrics((m) => (m.refused('client')['message-too-big'] ?? 0) > before)
    await bystander.fetches(5)
  }, 30_000)

  test('a message that comes byte by byte is read like any other', async () => {
    const attacker = keep(await startRawClient(edge.tcp))
    const stream = await attacker.open()
    for (const byte of rawFrame({ wants: bystander.contentWants().slice(0, 2) })) {
      stream.send(Uint8Array.of(byte))
    }
    await attacker.until(({ blocks }) => blocks.size === 2)
  })
})

describe('slow readers', () => {
  test('thirty clients that want everything and read nothing are held to the buffers', async () => {
    const slow = await Promise.all(Array.from({ length: 30 }, () => startRawClient(edge.tcp, { deaf: true })))
    for (const each of slow) keep(each)
    await Promise.all(slow.map((each) => each.send({ wants: bystander.contentWants() })))
    await bystander.fetches(40)
    const metrics = await edge.metrics()
    const resident = metrics.sum('kitsune_process_memory_bytes', { kind: 'resident' })
    console.log(`resident under 30 slow readers: ${Math.round(resident / 1e6)} MB`)
    // The bound, a quarter more for blocks under way, and one block for each client.
    expect(metrics.sum('kitsune_outbox_bytes')).toBeLessThanOrEqual(40 * 1024 * 1024 + 30 * 50_000)
    expect(resident).toBeLessThan(500e6)
  }, 60_000)
})

describe('connections', () => {
  const open = (port: number): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket))
      socket.on('error', reject)
    })

  test.each(['tcp', 'ws'] as const)(
    'sockets without a handshake over %s stay below the limit per address',
    async (via) => {
      const port = Number(/\/tcp\/(\d+)/.exec(edge[via])?.[1])
      const before = (await edge.metrics()).refused('client')['too-many-connections-per-address'] ?? 0
      const sockets = await Promise.all(Array.from({ length: 100 }, () => open(port)))
      keep({
        async stop() {
          for (const socket of sockets) socket.destroy()
        },
      })
      for (const socket of sockets) socket.on('error', () => {})
      const refused = (now: number | undefined) => (now ?? 0) - before
      await edge.untilMetrics((m) => refused(m.refused('client')['too-many-connections-per-address']) >= 41)
      await bystander.fetches(5)
    },
    30_000,
  )
})

describe('rogues behind the edge', () => {
  test('frames that are none, and streams opened and left, cost a backend its streams only', async () => {
    let answered = 0
    const rogue = keep(
      await startRogueBackend({
        async answer(_wants, answer) {
          if (answered++ >= 4) return
          await answer.sendBytes(Uint8Array.of(5, 0xff, 0xff, 0xff, 0xff, 0xff))
          await answer.sendBytes(Buffer.concat([varint(2 ** 31), new Uint8Array(100)]))
          for (let i = 0; i < 200; i++) {
            await answer.connection.newStream('/ipfs/bitswap/1.2.0', { maxOutboundStreams: 4096 })
          }
        },
      }),
    )
    const own = keep(await startEdgeProcess({ backends: [rogue.addr, bystander.backend.addr] }))
    await own.untilReady()
    const client = keep(await startRawClient(own.tcp))
    await client.send({ wants: bystander.contentWants() })
    await client.until(({ blocks }) => blocks.size === 400, 20_000)
    const refused = (await own.metrics()).refused('backend')
    expect(refused.malformed).toBeGreaterThan(0)
    expect(refused['message-too-big']).toBeGreaterThan(0)
    expect((await own.readiness()).status).toBe(200)
  }, 40_000)

  test('a backend with the wrong peer ID is not used, and the reason is told', async () => {
    const somebody = keep(await startRogueBackend())
    const rpc = keep(
      await startRogueRpc(
        rpcBehaviours.id(somebody.peerId, [
          bystander.backend.addr.replace(bystander.backend.peerId, somebody.peerId),
        ]),
      ),
    )
    const own = keep(await startEdgeProcess({ backends: [rpc.url] }))
    await own.untilMetrics(() => rpc.asked.length > 1)
    const { status, backends } = await own.readiness()
    expect(status).toBe(503)
    expect(backends[0]?.state).toBe('connecting')
    expect(backends[0]?.reason).toMatch(/identity/i)
  }, 30_000)

  test.each(['html', 'hang', 'fail', 'endless'] as const)(
    'an RPC that answers %s: the rest of the pool serves, and it is used once it is right',
    async (how) => {
      const late = keep(await startRogueBackend())
      const rpc = keep(await startRogueRpc(rpcBehaviours[how]))
      const own = keep(await startEdgeProcess({ backends: [rpc.url, bystander.backend.addr] }))
      await own.untilReady(1)
      const client = keep(await startRawClient(own.tcp))
      await client.send({ wants: bystander.contentWants().slice(0, 50) })
      await client.until(({ blocks }) => blocks.size === 50)
      rpc.behave(rpcBehaviours.id(late.peerId, [late.addr]))
      await own.untilReady(2, 25_000)
    },
    45_000,
  )

  test('a miss over an RPC that hangs or lies ends in DONT_HAVE, never in a wrong block', async () => {
    const backend = keep(
      await startRogueBackend({
        async answer(wants, answer) {
          await answer.send({ dontHaves: wants.filter(({ cancel }) => !cancel).map(({ cid }) => cid.bytes) })
        },
      }),
    )
    const rpc = keep(await startRogueRpc(rpcBehaviours.id(backend.peerId, [backend.addr])))
    const env = { KITSUNE_MISS_TIMEOUT: '2s', KITSUNE_MISS_ANSWER_AFTER: '300ms' }
    const own = keep(await startEdgeProcess({ backends: [rpc.url], env }))
    await own.untilReady()
    const client = keep(await startRawClient(own.tcp))
    for (const [i, how] of (['html', 'hang', 'fail', 'endless', 'wrongBlock'] as const).entries()) {
      rpc.behave(rpcBehaviours[how])
      const cid = seededCid(1, i, 100)
      await client.want([cid], { sendDontHave: true })
      await client.until(({ dontHaves }) => dontHaves.has(cid.toString()))
    }
    await own.untilMetrics((m) => m.sum('kitsune_misses_under_way') === 0)
    const metrics = await own.metrics()
    expect(client.received.blocks.size).toBe(0)
    expect(metrics.refused('backend')['wrong-block']).toBe(1)
    expect(metrics.sum('kitsune_misses_total', { outcome: 'timeout' })).toBe(1)
    expect(metrics.sum('kitsune_misses_total', { outcome: 'error' })).toBe(4)
    expect(metrics.sum('kitsune_misses_total')).toBe(5)
  }, 40_000)
})
