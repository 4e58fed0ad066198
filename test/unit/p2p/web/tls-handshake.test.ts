import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { connect, type SecureContext, type TLSSocket } from 'node:tls'
import { readCertificatePair } from '#src/p2p/web/certificate-pair.ts'
import { type HandshakeOutcome, shakeHands } from '#src/p2p/web/tls-handshake.ts'
import { makeAuthority } from '#test/support/certificates.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'

let context: SecureContext
beforeAll(async () => {
  const { cert, key } = await (await makeAuthority()).issue(['node0.test'])
  context = readCertificatePair(cert, key, Date.now()).context
})

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/**
 * A server's socket with TLS on it, its client's, and the TCP socket below the latter. With `ahead` the server has read the
 * client's first bytes before TLS gets the socket, as behind a PROXY header.
 */
async function pair(ahead: boolean): Promise<{ server: TLSSocket; client: TLSSocket; below: Socket }> {
  const outcome = Promise.withResolvers<HandshakeOutcome>()
  const take = (socket: Socket): void =>
    shakeHands(socket, { contextFor: () => context }, 2_000, outcome.resolve)
  const listener = createServer((socket) => {
    socket.on('error', () => {})
    if (!ahead) return take(socket)
    socket.once('data', (bytes) => {
      socket.pause()
      socket.unshift(bytes)
      take(socket)
      socket.resume()
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const below = connectTcp((listener.address() as AddressInfo).port, '127.0.0.1')
  const client = connect({ socket: below, rejectUnauthorized: false })
  client.on('error', () => {})
  const shaken = await outcome.promise
  if (shaken.kind !== 'secure') throw new Error(`the handshake is ${shaken.kind}`)
  stops.push(() => {
    client.destroy()
    shaken.socket.destroy()
    listener.close()
  })
  return { server: shaken.socket, client, below }
}

/** Writes until nothing goes any more for half a second; returns how much that was. */
async function fill(socket: Socket): Promise<number> {
  const piece = new Uint8Array(64 * 1024)
  let sent = 0
  for (;;) {
    sent += piece.length
    if (sent > 64 * 1024 * 1024) throw new Error('64 MiB and no end')
    if (socket.write(piece)) continue
    const drained = once(socket, 'drain').then(() => true)
    if (!(await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 500, false))])))
      return sent
  }
}

describe.each([
  ['below JavaScript', false],
  ['by way of a stream, its first bytes read ahead', true],
])('TLS %s', (_way, ahead) => {
  test('a reader that pauses stops the writer, and gets everything when it goes on', async () => {
    const { server, client } = await pair(ahead)
    let read = 0
    server.pause()
    server.on('data', (bytes) => {
      read += bytes.length
    })
    server.pause()
    const sent = await fill(client)
    expect(read).toBeLessThan(1024 * 1024)
    server.resume()
    await until(() => read === sent)
  })

  test('a writer is told that its reader does not keep up, and when it does', async () => {
    const { server, client } = await pair(ahead)
    let read = 0
    client.pause()
    const sent = await fill(server)
    client.on('data', (bytes) => {
      read += bytes.length
    })
    client.resume()
    await until(() => read === sent)
    expect(server.writableLength).toBe(0)
  })

  test('an end comes with everything before it', async () => {
    const { server, client } = await pair(ahead)
    let [asked, answered] = ['', 0]
    server.on('data', (bytes) => {
      asked += bytes
    })
    client.on('data', (bytes) => {
      answered += bytes.length
    })
    client.write('hello')
    await until(() => asked === 'hello')
    server.end(new Uint8Array(3 * 1024 * 1024))
    await once(client, 'end')
    expect(answered).toBe(3 * 1024 * 1024)
    await until(() => server.destroyed)
  })

  test('a client that ends its side has ended the connection', async () => {
    const { server, client } = await pair(ahead)
    server.resume()
    client.end('hello')
    await until(() => client.destroyed)
    server.end()
    await until(() => server.destroyed)
  })

  test('noise after the handshake ends the connection', async () => {
    const { server, below } = await pair(ahead)
    server.resume()
    const closed = once(server, 'close')
    below.write(Buffer.alloc(600, 23))
    await closed
  })

  test('who is closed takes the socket below along', async () => {
    const { server, client } = await pair(ahead)
    client.resume()
    const closed = once(client, 'close')
    server.destroy()
    await closed
  })
})
