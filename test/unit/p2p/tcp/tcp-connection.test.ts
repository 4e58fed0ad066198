import { afterEach, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { lend } from '#src/p2p/tcp/send-buffers.ts'
import { TcpConnection } from '#src/p2p/tcp/tcp-connection.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(() => {
  for (const stop of stops.splice(0).reverse()) stop()
})

/** An accepted connection, and the raw socket of its client, which has read nothing. */
async function connectionPair(
  idleTimeoutMs = 60_000,
): Promise<{ connection: TcpConnection; client: Socket }> {
  const accepted = Promise.withResolvers<TcpConnection>()
  const server = createServer({ noDelay: true }, (socket) => {
    stops.push(() => socket.destroy())
    accepted.resolve(
      new TcpConnection({
        socket,
        idleTimeoutMs,
        remoteAddr: multiaddr('/ip4/192.0.2.1/tcp/1'),
        direction: 'inbound',
        log: defaultLogger().forComponent('test'),
      }),
    )
  })
  stops.push(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {})
  stops.push(() => client.destroy())
  // Bun has the kernel hold back a socket until its first byte, or for a second.
  client.write('!')
  client.pause()
  return { connection: await accepted.promise, client }
}

function readAll(client: Socket): { bytes: () => Buffer; ended: Promise<unknown> } {
  const pieces: Buffer[] = []
  client.on('data', (bytes) => pieces.push(bytes))
  client.resume()
  return { bytes: () => Buffer.concat(pieces), ended: once(client, 'close') }
}

test('small and large sends arrive in order', async () => {
  const { connection, client } = await connectionPair()
  const received = readAll(client)
  const sent: Buffer[] = []
  for (const size of [1, 1, 5_000, 3, 4_096, 4_095, 100_000, 2]) {
    const bytes = Buffer.alloc(size, sent.length + 1)
    sent.push(bytes)
    if (!connection.send(bytes)) await connection.onDrain()
  }
  const all = Buffer.concat(sent)
  await until(() => received.bytes().length === all.length)
  expect(received.bytes().equals(all)).toBe(true)
})

test('a small send waits for the end of the turn, unless it is hurried', async () => {
  const { connection } = await connectionPair()
  const { socket } = connection
  connection.send(Buffer.from('waits'))
  expect(socket.bytesWritten).toBe(0)
  connection.flush()
  expect(socket.bytesWritten).toBe(5)
  connection.flush()
  await Promise.resolve()
  expect(socket.bytesWritten).toBe(5)
})

test('what was sent in the turn of the close arrives', async () => {
  const { connection, client } = await connectionPair()
  const received = readAll(client)
  connection.send(Buffer.from('going '))
  connection.send(Buffer.from('away'))
  await connection.close()
  await received.ended
  expect(received.bytes().toString()).toBe('going away')
  expect(connection.status).toBe('closed')
})

test('a client that does not read stops the writer, and starts it again when it reads', async () => {
  const { connection, client } = await connectionPair()
  const piece = new Uint8Array(256 * 1024)
  let sent = 0
  for (;;) {
    sent += piece.length
    if (!connection.send(piece)) break
    if (sent > 100 * 1024 * 1024) throw new Error('100 MiB and no end')
    await new Promise((resolve) => setImmediate(resolve))
  }
  const drained = once(connection, 'drain')
  const received = readAll(client)
  await drained
  await until(() => received.bytes().length === sent)
})

test('a buffer that was lent is given out again once the socket has taken it', async () => {
  const { connection, client } = await connectionPair()
  const received = readAll(client)
  const first = lend(200_000)
  connection.send(first)
  await until(() => received.bytes().length === first.length)
  let again = lend(200_000)
  for (let i = 0; again.buffer !== first.buffer; i++) {
    if (i > 100) throw new Error('it is not')
    again = lend(200_000)
  }
})

test('a paused connection stops the client, and reads on when it is resumed', async () => {
  const { connection, client } = await connectionPair()
  let read = 0
  connection.addEventListener('message', ({ data }) => {
    read += data.byteLength
  })
  await until(() => read === 1)
  connection.pause()
  const piece = Buffer.alloc(65_536)
  let written = 1
  const canWrite = async (): Promise<boolean> =>
    client.write(piece) ||
    Promise.race([
      once(client, 'drain').then(() => true),
      new Promise<boolean>((resolve) => setTimeout(resolve, 500, false)),
    ])
  while (await canWrite()) {
    written += piece.length
    if (written > 64 * 1024 * 1024) throw new Error('64 MiB and no end')
  }
  expect(read).toBe(1)
  connection.resume()
  await until(() => read === written + piece.length)
})

test('a client that ends its side ends the connection, once everything it sent is read', async () => {
  const { connection, client } = await connectionPair()
  let read = 0
  connection.addEventListener('message', ({ data }) => {
    read += data.byteLength
  })
  client.end(Buffer.alloc(300_000))
  await once(connection, 'close')
  expect([read, connection.status]).toEqual([300_001, 'closed'])
})

test('a client that resets ends it with an error', async () => {
  const { connection, client } = await connectionPair()
  client.resetAndDestroy()
  const closed = (await once(connection, 'close')) as unknown as [{ error?: Error }]
  expect(closed[0].error).toBeInstanceOf(Error)
  expect(() => connection.send(new Uint8Array(1))).toThrow()
})

test('abort resets the client', async () => {
  const { connection, client } = await connectionPair()
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => client.once('error', resolve))
  client.resume()
  connection.abort(new Error('enough'))
  expect((await failed).code).toBe('ECONNRESET')
  expect(connection.status).toBe('aborted')
})

test('silence has a time limit', async () => {
  const { connection, client } = await connectionPair(100)
  client.resume()
  const closed = new Promise((resolve) => client.once('close', resolve))
  await Promise.all([once(connection, 'close'), closed])
  expect(connection.status).toBe('aborted')
})

test('a close that the client holds up can be given up', async () => {
  const { connection } = await connectionPair()
  const piece = new Uint8Array(1024 * 1024)
  for (let i = 0; connection.send(piece); i++) {
    if (i > 100) throw new Error('100 MiB and no end')
    await new Promise((resolve) => setImmediate(resolve))
  }
  await expect(connection.close({ signal: AbortSignal.timeout(100) })).rejects.toThrow()
  connection.abort(new Error('enough'))
})
