import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { WebTransport } from 'rwebtransport'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { client, door, echoed, ended, rawSession, whenDone } from './door-under-test.ts'

test('a session for another path, and one that says nothing, are closed in time', async () => {
  const it = await door({ handshakeTimeoutMs: 300 })
  await ended(await rawSession(it, '/chat'))
  const silent = await rawSession(it)
  const begun = await rawSession(it)
  const stream = await begun.createBidirectionalStream()
  const writer = stream.writable.getWriter()
  writer.closed.catch(() => {})
  await writer.write(Uint8Array.of(0, 32))
  await Promise.all([ended(silent), ended(begun)])
  await until(() => it.gate.open === 0 && it.gate.addresses === 0)
})

test('no more than the gate allows, one address included; whoever is in stays', async () => {
  const it = await door({ perAddress: 5, handshakeTimeoutMs: 60_000 })
  const node = await client()
  await echoed(node, it.address(), Buffer.from('first'))
  const sessions = await Promise.all(Array.from({ length: 40 }, () => rawSession(it)))
  const over: WebTransport[] = []
  for (const session of sessions) void ended(session).then(() => over.push(session))
  await until(() => over.length === 36)
  expect(it.gate.open).toBe(5)
  expect(it.refusals.filter((reason) => reason === 'too-many-connections-per-address')).toHaveLength(36)
  expect((await echoed(node, it.address(), Buffer.from('still'))).toString()).toBe('still')
})

test('of a flood of garbage and of first packets nothing stays counted, and clients are served', async () => {
  const it = await door()
  const socket = createSocket('udp4')
  whenDone(() => socket.close())
  const initial = Buffer.concat([
    // A long header of QUIC version 1 with connection numbers of 8 bytes, and what should be encrypted.
    Buffer.from('c00000000108', 'hex'),
    randomBytes(8),
    Buffer.from([8]),
    randomBytes(8),
    Buffer.from([0, 0x44, 0xb0]),
    randomBytes(1_200),
  ])
  for (let i = 0; i < 20_000; i++) {
    if (i % 2 === 0) randomBytes(8).copy(initial, 6)
    socket.send(i % 2 === 0 ? initial : randomBytes(i % 1_400), it.port(), '127.0.0.1')
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  expect((await echoed(await client(), it.address(), Buffer.from('serves'))).toString()).toBe('serves')
  expect(it.gate.open).toBe(1)
}, 20_000)

test('what nobody reads is bounded for the connection, and all there when it is read', async () => {
  const it = await door()
  const unread: Stream[] = []
  await it.node.handle(
    '/unread/1',
    (stream) => {
      stream.pause()
      unread.push(stream)
    },
    { maxInboundStreams: 1_000 },
  )
  const node = await client()
  const connection = await node.dial(multiaddr(it.address()))
  const streams = 60
  const each = 1024 * 1024
  const open = (): Promise<Stream> => connection.newStream('/unread/1', { maxOutboundStreams: 1_000 })
  // All before the first byte: what is unread takes up the window of the connection.
  const opened = await Promise.all(Array.from({ length: streams }, open))
  for (const [i, stream] of opened.entries()) {
    for (let at = 0; at < each; at += 65_536) stream.send(new Uint8Array(65_536).fill(i))
    void stream.close()
  }
  await until(() => unread.length === streams)
  const held = (): number => unread.reduce((sum, { readBufferLength }) => sum + readBufferLength, 0)
  let last = -1
  // Until nothing more comes.
  for (let now = held(); now !== last; now = held()) {
    last = now
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  expect(last).toBeLessThan(16 * 1024 * 1024)
  let read = 0
  for (const stream of unread) {
    stream.addEventListener('message', ({ data }) => {
      read += data.byteLength
    })
    stream.resume()
  }
  await until(() => read === streams * each, 20_000)
}, 40_000)

test('a client that does not read stops who sends', async () => {
  const it = await door()
  let sent = 0
  const ended = Promise.withResolvers<void>()
  await it.node.handle('/source/1', async (stream) => {
    for (let i = 0; i < 1_024; i++) {
      const more = stream.send(new Uint8Array(65_536))
      sent += 65_536
      if (!more) await new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))
    }
    ended.resolve()
  })
  const connection = await (await client()).dial(multiaddr(it.address()))
  const stream = await connection.newStream('/source/1')
  stream.pause()
  let before: number
  do {
    before = sent
    await new Promise((resolve) => setTimeout(resolve, 300))
  } while (sent !== before)
  expect(sent).toBeGreaterThan(0)
  expect(sent).toBeLessThan(8 * 1024 * 1024)
  // It can be ended all the same.
  const held = it.node.getConnections()[0]?.streams.find(({ protocol }) => protocol === '/source/1')
  held?.abort(new Error('too slow'))
  await until(() => it.node.getConnections()[0]?.streams.length === 0)
})

test('a client that opens streams and leaves them has 256 of them at most', async () => {
  const it = await door()
  const session = await rawSession(it)
  let opened = 0
  for (let i = 0; i < 1_000; i++) {
    const writer = session.createBidirectionalStream().then(({ writable }) => writable.getWriter())
    void writer
      .then((each) => each.write(Uint8Array.of(1)))
      .then(
        () => opened++,
        () => {},
      )
  }
  await until(() => opened >= 200)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(opened).toBeLessThanOrEqual(256)
  expect((await echoed(await client(), it.address(), Buffer.from('serves'))).toString()).toBe('serves')
})
