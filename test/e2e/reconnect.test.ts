import { describe, expect, test } from 'bun:test'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { writeAll } from '#test/support/bitswap-host.ts'
import { type Bystander, startBystander } from '#test/support/bystander.ts'
import { type EdgeProcess, poll, startEdgeProcess } from '#test/support/edge.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'
import { rawFrame } from '#test/support/raw-message.ts'

/**
 * Clients with more than one connection: one that came back from another network while its old connection is dead
 * and nobody has noticed, and one that loses the connection on which its blocks come.
 */
const keep = keepUntilAfterEach()

/** A TCP path to a port that can become a black hole: nothing passes, nothing closes. */
async function startPath(port: number): Promise<{ port: number; freeze(): void; stop(): Promise<void> }> {
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    freeze() {
      for (const socket of sockets) {
        socket.unpipe()
        socket.pause()
      }
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

async function setUp(): Promise<{ bystander: Bystander; edge: EdgeProcess }> {
  const bystander = keep(await startBystander())
  const edge = keep(await startEdgeProcess({ backends: [bystander.backend.addr] }))
  await edge.untilReady()
  return { bystander, edge }
}

/** Opens one more connection of the same peer. */
const again = (client: RawClient, address: string) => client.node.dial(multiaddr(address), { force: true })

describe('a client with two connections', () => {
  test('that comes back while its old connection is a black hole is served on the new one', async () => {
    const { bystander, edge } = await setUp()
    const port = Number(/\/tcp\/(\d+)/.exec(edge.tcp)?.[1])
    const path = keep(await startPath(port))
    const client = keep(await startRawClient(edge.tcp.replace(`/tcp/${port}`, `/tcp/${path.port}`)))
    const wants = bystander.contentWants()
    await client.send({ wants: wants.slice(0, 10) })
    await client.until(({ blocks }) => blocks.size === 10)
    path.freeze()
    const fresh = await again(client, edge.tcp)
    const stream = await fresh.newStream('/ipfs/bitswap/1.2.0')
    await writeAll(stream, rawFrame({ full: true, wants: wants.slice(10, 30) }))
    await client.until(({ blocks }) => blocks.size === 30, 10_000)
  }, 30_000)

  test.each(['abort', 'close'] as const)(
    'that loses the one on which blocks come (%s) gets the rest, or is told by the end of the other',
    async (how) => {
      const { bystander, edge } = await setUp()
      for (const enough of [20, 60, 120]) {
        const client = keep(await startRawClient(edge.tcp))
        const second = await again(client, edge.tcp)
        await edge.untilMetrics((m) => m.sum('kitsune_connections') === 2)
        await client.send({ wants: bystander.contentWants() })
        await client.until(({ blocks }) => blocks.size > enough)
        if (how === 'abort') second.abort(new Error('gone'))
        else void second.close().catch(() => {})
        const settled = async () => client.received.blocks.size === 400 || client.connection.status !== 'open'
        await poll(
          settled,
          (is) => is,
          10_000,
          () => `${client.received.blocks.size} of 400, and still connected`,
        )
        await client.stop()
        await edge.untilMetrics((m) => m.sum('kitsune_connections') === 0)
      }
      expect((await edge.metrics()).sum('kitsune_wants_outstanding')).toBe(0)
    },
    60_000,
  )
})
