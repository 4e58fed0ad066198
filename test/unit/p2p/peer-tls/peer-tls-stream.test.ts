import { afterEach, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { peerTls } from '#src/p2p/peer-tls/peer-tls.ts'
import { swarmKeyProtector } from '#src/p2p/swarm-key/protector.ts'
import { keystreams } from '#src/p2p/swarm-key/xsalsa20.ts'
import { TcpConnection } from '#src/p2p/tcp/tcp-connection.ts'
import { flood, readFrom, untilStill } from '#test/support/flood.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'

/** TLS on top of a stream of a private network, on top of TCP: as deep as it gets. */

const stops: Array<() => unknown> = []
afterEach(() => {
  for (const stop of stops.splice(0).reverse()) stop()
})

const keystream = await keystreams()
const greeting = Buffer.from('\x13/multistream/1.0.0\n')

function over(socket: Socket, direction: 'inbound' | 'outbound'): Promise<MessageStream> {
  stops.push(() => socket.destroy())
  const connection = new TcpConnection({
    socket,
    idleTimeoutMs: 60_000,
    remoteAddr: multiaddr('/ip4/192.0.2.1/tcp/1'),
    direction,
    log: defaultLogger().forComponent('test'),
  })
  return swarmKeyProtector({ key: new Uint8Array(32), keystream, refused: () => {} })().protect(connection)
}

/** Both ends of a connection without TLS yet, having greeted each other. */
async function streams(): Promise<[MessageStream, MessageStream]> {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer({ noDelay: true }, accepted.resolve)
  stops.push(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(client, 'connect')
  const outbound = await over(client, 'outbound')
  outbound.send(greeting)
  const inbound = await over(await accepted.promise, 'inbound')
  inbound.send(greeting)
  await Promise.all([inbound, outbound].map((stream) => heard(stream, greeting.length)))
  return [inbound, outbound]
}

/** Resolves when so many bytes have come, and leaves the stream to others. */
function heard(stream: MessageStream, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let left = bytes
    const take = ({ data }: { data: { byteLength: number } }): void => {
      left -= data.byteLength
      if (left > 0) return
      stream.removeEventListener('message', take as never)
      resolve()
    }
    stream.addEventListener('message', take as never)
  })
}

async function encrypter(): Promise<ConnectionEncrypter> {
  const privateKey = await generateKeyPair('Ed25519')
  return peerTls()({ privateKey, upgrader: { getStreamMuxers: () => new Map() } })
}

async function pair(): Promise<[MessageStream, MessageStream]> {
  const [below, above] = await streams()
  const [server, client] = [await encrypter(), await encrypter()]
  const [inbound, outbound] = await Promise.all([server.secureInbound(below), client.secureOutbound(above)])
  return [inbound.connection, outbound.connection]
}

test('a paused reader makes the writer wait, and misses nothing when it goes on', async () => {
  const [inbound, outbound] = await pair()
  const read = readFrom(inbound)
  inbound.pause()
  const sent = flood(outbound)
  await untilStill(sent)
  expect(sent()).toBeLessThan(16 * 1024 * 1024)
  expect(read()).toBe(0)
  inbound.resume()
  await until(() => read() > 64 * 1024 * 1024, 20_000)
  inbound.abort(new Error('enough'))
}, 30_000)

test('both may send at once without end and neither waits for ever', async () => {
  const ends = await pair()
  const counts = ends.map((stream) => readFrom(stream))
  for (const end of ends) flood(end)
  await until(() => counts.every((read) => read() > 64 * 1024 * 1024), 20_000)
  for (const end of ends) end.abort(new Error('enough'))
}, 30_000)

test('what was sent before the close arrives, and an abort ends the other side', async () => {
  const [inbound, outbound] = await pair()
  const read = readFrom(inbound)
  outbound.send(new Uint8Array(3 * 1024 * 1024))
  outbound.send(new Uint8Array(5))
  await outbound.close()
  await until(() => inbound.status !== 'open')
  expect(read()).toBe(3 * 1024 * 1024 + 5)
  const [other, aborting] = await pair()
  aborting.abort(new Error('enough'))
  await until(() => other.status !== 'open')
})
