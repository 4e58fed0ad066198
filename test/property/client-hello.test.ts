import { beforeAll, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import { maxHelloBytes, parseClientHello } from '#src/p2p/web/client-hello.ts'

/** What this runtime's own client says first. */
async function helloFor(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false })
  client.on('error', () => {})
  const [socket] = await once(server, 'connection')
  const [hello] = await once(socket, 'data')
  socket.destroy()
  client.destroy()
  server.close()
  return hello
}

let hello: Buffer
beforeAll(async () => {
  hello = await helloFor('node1.example.net')
})

/** The same message in records of so many bytes. */
function cut(bytes: Buffer, size: number): Buffer {
  const message = bytes.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece)
  }
  return Buffer.concat(records)
}

test('the name is read from a whole hello, however it is cut into records, whatever follows', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000 }), fc.uint8Array({ maxLength: 50 }), (size, more) => {
      const bytes = Buffer.concat([cut(hello, size), more])
      expect(parseClientHello(bytes)).toEqual({ kind: 'read', name: 'node1.example.net' })
    }),
  )
})

test('every part of a hello may become one', () => {
  for (let length = 0; length < hello.length; length++)
    expect(parseClientHello(hello.subarray(0, length))).toEqual({ kind: 'more' })
})

test('one without a name, or without extensions, has none', async () => {
  expect(parseClientHello(await helloFor(''))).toEqual({ kind: 'read' })
  // Version and random, no session, one suite, one compression method.
  const body = Buffer.concat([Buffer.alloc(34), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])])
  const bare = Buffer.concat([Buffer.from([22, 3, 1, 0, body.length + 4, 1, 0, 0, body.length]), body])
  expect(parseClientHello(bare)).toEqual({ kind: 'read' })
})

test('nothing makes it throw, or wait for more than it looks at', () => {
  const spoilt = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat()).map(([at, byte, end]) => {
    const bytes = Buffer.from(hello)
    bytes[at % bytes.length] = byte
    return bytes.subarray(0, end % (bytes.length + 1))
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), spoilt), (bytes) => {
      const read = parseClientHello(bytes)
      if (read.kind === 'more') expect(bytes.length).toBeLessThan(maxHelloBytes)
      if (read.kind === 'read' && read.name !== undefined) expect(read.name.length).toBeLessThan(bytes.length)
    }),
    { numRuns: 2_000 },
  )
  const endless = Buffer.alloc(2 * maxHelloBytes, Buffer.from([22, 3, 1, 0, 0]))
  expect(parseClientHello(endless)).toEqual({ kind: 'read' })
  expect(
    parseClientHello(
      Buffer.concat([Buffer.from([22, 3, 1, 255, 255, 1, 0, 63, 0]), Buffer.alloc(maxHelloBytes)]),
    ).kind,
  ).toBe('read')
})
