import { afterEach, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { quic } from '@chainsafe/libp2p-quic'
import type { Connection, Stream } from '@libp2p/interface'
import { createLibp2p, type Libp2p } from 'libp2p'
import { connectionsByTransport } from '#src/p2p/host.ts'
import { startQuicDialler } from '#test/support/quic-client.ts'
import { echoed, type FrontUnderTest, startFront, until } from '#test/unit/p2p/front-under-test.ts'

const stops: Array<() => void | Promise<void>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function front(options: Parameters<typeof startFront>[0] = {}): Promise<FrontUnderTest> {
  const started = await startFront({
    listen: ['/ip4/127.0.0.1/udp/0/quic-v1', '/ip4/127.0.0.1/tcp/0/ws'],
    ...options,
  })
  stops.push(started.stop)
  return started
}

/** A client by the library's own transport. */
async function client(): Promise<Libp2p> {
  const node = await createLibp2p({ transports: [quic()], connectionMonitor: { enabled: false } })
  stops.push(() => node.stop())
  return node as unknown as Libp2p
}

const opened = (connection: Connection): Promise<Stream> =>
  connection.newStream('/echo/1', { maxOutboundStreams: 2_000 })

/** The front's only connection. */
function accepted({ front: { node } }: FrontUnderTest): Connection {
  const [connection, ...more] = node.getConnections()
  if (connection === undefined || more.length > 0) throw new Error(`${more.length} more connections`)
  return connection
}

test('what goes in comes back, and the connection is known by its address and its transport', async () => {
  const it = await front()
  const bytes = randomBytes(8 * 1024 * 1024)
  const node = await client()
  expect((await echoed(node, it.tcp, bytes)).equals(bytes)).toBe(true)
  expect(connectionsByTransport(it.front.node)).toMatchObject({ 'quic-v1': 1, tcp: 0 })
  expect(accepted(it).remoteAddr.toString()).toMatch(/^\/ip4\/127\.0\.0\.1\/udp\/\d+\/quic-v1\/p2p\//)
  expect([it.gate.open, it.gate.addresses]).toEqual([1, 1])
  await node.stop()
  await until(() => it.gate.open === 0 && it.gate.addresses === 0)
})

test('five hundred streams at once are all served', async () => {
  const it = await front()
  const node = await client()
  const address = it.tcp.encapsulate(`/p2p/${it.front.node.peerId}`)
  await node.dial(address)
  await until(() => it.front.node.getConnections().length === 1)
  const payloads = Array.from({ length: 500 }, () => randomBytes(1_000))
  const answers = await Promise.all(payloads.map((payload) => echoed(node, address, payload)))
  expect(answers.every((answer, i) => answer.equals(payloads[i] as Buffer))).toBe(true)
  await until(() => accepted(it).streams.length === 0)
})

test('an end of one side is told, and the other side goes on', async () => {
  const it = await front()
  const ended = Promise.withResolvers<string>()
  await it.front.node.handle('/late/1', async (stream) => {
    let said = ''
    for await (const bytes of stream) said += Buffer.from(bytes.subarray()).toString()
    ended.resolve(said)
    stream.send(Buffer.from('heard all'))
    await stream.close()
  })
  const connection = await (await client()).dial(it.tcp)
  const stream = await connection.newStream('/late/1')
  stream.send(Buffer.from('that is all'))
  await stream.close()
  expect(await ended.promise).toBe('that is all')
  let answer = ''
  for await (const bytes of stream) answer += Buffer.from(bytes.subarray()).toString()
  expect(answer).toBe('heard all')
})

test('a reset is told both ways, and ends no other stream', async () => {
  const it = await front()
  const theirs = Promise.withResolvers<Stream>()
  await it.front.node.handle('/hold/1', (stream) => theirs.resolve(stream))
  const connection = await (await client()).dial(it.tcp)
  const other = await opened(connection)
  const stream = await connection.newStream('/hold/1')
  stream.send(Buffer.from('x'))
  const held = await theirs.promise
  stream.abort(new Error('enough'))
  await until(() => held.status === 'reset' || held.status === 'aborted')

  const answered = new Promise<string>((resolve) => {
    other.addEventListener('message', ({ data }) => resolve(Buffer.from(data.subarray()).toString()))
  })
  other.send(Buffer.from('still here'))
  expect(await answered).toBe('still here')

  const again = Promise.withResolvers<Stream>()
  await it.front.node.unhandle('/hold/1')
  await it.front.node.handle('/hold/1', (late) => again.resolve(late))
  const second = await connection.newStream('/hold/1')
  second.send(Buffer.from('x'))
  ;(await again.promise).abort(new Error('enough'))
  await until(() => second.status !== 'open' || second.remoteWriteStatus === 'closed')
})

test('a client that does not read is not written to beyond its windows', async () => {
  const it = await front()
  let taken = 0
  const full = Promise.withResolvers<void>()
  await it.front.node.handle('/pour/1', async (stream) => {
    const piece = new Uint8Array(256 * 1024)
    while (stream.status === 'open') {
      const more = stream.send(piece)
      taken += piece.length
      if (more) continue
      const drained = await Promise.race([
        new Promise<true>((resolve) => stream.addEventListener('drain', () => resolve(true), { once: true })),
        new Promise<false>((resolve) => setTimeout(() => resolve(false), 1_000)),
      ])
      if (!drained) break
    }
    full.resolve()
  })
  // The library's own reads on while it is paused; raw access does not.
  const dialler = await startQuicDialler()
  stops.push(dialler.stop)
  const connection = await dialler.dial(Number(it.tcp.getComponents()[1]?.value))
  const stream = await connection.outboundStream()
  const line = (text: string): Buffer =>
    Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(`${text}\n`)])
  await stream.write(Buffer.concat([line('/multistream/1.0.0'), line('/pour/1')]))
  await full.promise
  // The client's window and the connection's, one write under way, what waits behind it.
  expect(taken).toBeLessThan(4 * 1024 * 1024)
})

test('a front that does not read keeps the client from sending, and goes on where it was', async () => {
  const it = await front()
  const theirs = Promise.withResolvers<Stream>()
  await it.front.node.handle('/slow/1', (stream) => {
    stream.pause()
    theirs.resolve(stream)
  })
  const connection = await (await client()).dial(it.tcp)
  const stream = await connection.newStream('/slow/1')
  const total = 8 * 1024 * 1024
  const sending = (async () => {
    for (let sent = 0; sent < total; sent += 65_536) {
      if (!stream.send(new Uint8Array(65_536))) {
        await new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))
      }
    }
    await stream.close()
    return 'done'
  })()
  const held = await theirs.promise
  const early = await Promise.race([
    sending,
    new Promise((resolve) => setTimeout(() => resolve('waits'), 500)),
  ])
  expect(early).toBe('waits')
  expect((held as unknown as { readBufferLength: number }).readBufferLength).toBeLessThan(512 * 1024)
  let read = 0
  held.addEventListener('message', ({ data }) => {
    read += data.byteLength
  })
  held.resume()
  expect(await sending).toBe('done')
  await until(() => read === total && held.remoteWriteStatus === 'closed')
})

test('the gate refuses by count and by address, and when it is closed', async () => {
  const it = await front({ limits: { maxConnections: 2, maxConnectionsPerAddress: 1 } })
  const first = await client()
  await first.dial(it.tcp)
  const refused = async (): Promise<void> => {
    const node = await client()
    const connection = await node.dial(it.tcp).catch(() => undefined)
    // The handshake is the library's; what is refused ends right behind it.
    await until(() => connection === undefined || connection.status !== 'open')
  }
  await refused()
  expect(it.refusals).toEqual(['too-many-connections-per-address'])
  it.gate.close()
  await refused()
  expect(it.refusals).toEqual(['too-many-connections-per-address', 'draining'])
  expect(it.gate.open).toBe(1)
})

test('garbage is dropped, and clients are served meanwhile', async () => {
  const it = await front()
  const port = Number(it.tcp.getComponents()[1]?.value)
  const socket = createSocket('udp4')
  stops.push(() => void socket.close())
  const send = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve) => socket.send(bytes, port, '127.0.0.1', () => resolve()))
  const flood = (async () => {
    for (let i = 0; i < 20_000; i++) {
      const bytes = randomBytes(i % 3 === 0 ? 1_200 : 1 + (i % 100))
      // A third looks like the first packet of a connection, of a version that there is.
      if (i % 3 === 0) bytes.set([0xc0, 0, 0, 0, 1, 8])
      await send(bytes)
    }
  })()
  const bytes = randomBytes(1024 * 1024)
  expect((await echoed(await client(), it.tcp, bytes)).equals(bytes)).toBe(true)
  await flood
  expect((await echoed(await client(), it.tcp, bytes)).equals(bytes)).toBe(true)
})

test('two on one port: the second is refused by name', async () => {
  const it = await front()
  const again = startFront({
    listen: [it.tcp.toString().replace(/\/p2p\/.*/, ''), '/ip4/127.0.0.1/tcp/0/ws'],
  })
  const error = await again.catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'LISTEN_FAILED' })
  expect(JSON.stringify(error)).toContain('quic-v1')
})
