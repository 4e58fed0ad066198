import { afterEach, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Uint8ArrayList } from 'uint8arraylist'
import { makeCertificate } from '#src/p2p/peer-tls/peer-certificate.ts'
import { handBack, isLent, lend } from '#src/p2p/tcp/send-buffers.ts'
import { SocketWriter } from '#src/p2p/tcp/socket-writer.ts'
import { seededBlock } from '#test/support/seeded-content.ts'

const stops: Array<() => unknown> = []
afterEach(() => {
  for (const stop of stops.splice(0).reverse()) stop()
})

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

type Listening = ReturnType<typeof createServer>

async function pairOf(server: Listening, event: string, dial: (port: number) => Socket): Promise<Pair> {
  const accepted = once(server, event) as Promise<[Socket]>
  stops.push(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = dial((server.address() as AddressInfo).port)
  near.on('error', () => {})
  stops.push(() => near.destroy())
  // Bun has the kernel hold back a socket until its first byte, or for a second.
  near.write('!')
  const [far] = await accepted
  far.on('error', () => {})
  stops.push(() => far.destroy())
  if (far.read(1) === null) {
    await once(far, 'readable')
    far.read(1)
  }
  far.pause()
  return { near, far }
}

const kinds: readonly [string, () => Promise<Pair>][] = [
  ['TCP', () => pairOf(createServer({ noDelay: true }), 'connection', (port) => connect(port, '127.0.0.1'))],
  [
    'TLS',
    async () => {
      const certificate = await makeCertificate(await generateKeyPair('Ed25519'))
      const server = createTlsServer({ ...certificate, minVersion: 'TLSv1.3' }) as unknown as Listening
      return pairOf(server, 'secureConnection', (port) =>
        tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false }),
      )
    },
  ],
]

/** A list of such pieces; no two messages have the same bytes. */
function listOf(n: number, lengths: readonly number[]): Uint8ArrayList {
  return new Uint8ArrayList(...lengths.map((length, at) => seededBlock(n, at, length)))
}

/** Lists of every size: joined for the turn, on their own, in lent memory, and too large for that. */
function sizesOf(n: number): number[] {
  const sizes = [
    [1, 2, 9],
    [4_000, 95, 1],
    [5_000, 12],
    [12, 60_000, 7, 65_000],
    [200_000, 12, 61_000],
    [12, 20_000],
  ]
  return n % 40 === 39 ? [12, 1_200_000] : (sizes[n % sizes.length] as number[])
}

interface Read {
  readonly hash: ReturnType<typeof createHash>
  bytes: number
}

/** Reads as slowly as `pauseMs` says, until the other side ends. */
async function readAll(far: Socket, slowly: boolean): Promise<Read> {
  const read: Read = { hash: createHash('sha256'), bytes: 0 }
  far.on('data', (piece: Buffer) => {
    read.hash.update(piece)
    read.bytes += piece.length
    if (!slowly) return
    // Others have their turn before more is read.
    far.pause()
    setImmediate(() => setImmediate(() => far.resume()))
  })
  const ended = once(far, 'end')
  far.resume()
  await ended
  return read
}

/** Writes so many lists, whether or not the socket has room when `heedless`; returns what must arrive. */
async function writeAll(near: Socket, count: number, heedless: boolean): Promise<Read> {
  const writer = new SocketWriter(near)
  const sent: Read = { hash: createHash('sha256'), bytes: 0 }
  for (let n = 0; n < count; n++) {
    const list = listOf(n, sizesOf(n))
    for (const piece of list) sent.hash.update(piece)
    sent.bytes += list.byteLength
    const { sentBytes, canSendMore } = writer.write(list)
    expect(sentBytes).toBe(list.byteLength)
    if (!canSendMore && !heedless && near.writableNeedDrain) await once(near, 'drain')
  }
  writer.flush()
  near.end()
  return sent
}

for (const [kind, pair] of kinds) {
  for (const slowly of [false, true]) {
    test(`${kind}: lists large and small arrive in order at a ${slowly ? 'slow' : 'quick'} reader`, async () => {
      const { near, far } = await pair()
      const reading = readAll(far, slowly)
      const sent = await writeAll(near, 120, false)
      const read = await reading
      expect(read.bytes).toBe(sent.bytes)
      expect(read.hash.digest('hex')).toBe(sent.hash.digest('hex'))
    })
  }

  test(`${kind}: what is written without regard for room arrives right: memory is not lent again too early`, async () => {
    const { near, far } = await pair()
    // Nothing is read until all is written: much of it is in memory that the socket has not taken.
    const sent = await writeAll(near, 100, true)
    expect(near.writableLength).toBeGreaterThan(0)
    const read = await readAll(far, true)
    expect(read.bytes).toBe(sent.bytes)
    expect(read.hash.digest('hex')).toBe(sent.hash.digest('hex'))
  })

  test(`${kind}: memory comes back once the socket has taken it`, async () => {
    const { near, far } = await pair()
    far.resume()
    const writer = new SocketWriter(near)
    const seen = new Set<ArrayBufferLike>()
    const write = near.write.bind(near)
    near.write = ((bytes: Uint8Array, done?: () => void) => {
      if (bytes.length > 60_000) seen.add(bytes.buffer)
      return write(bytes, done as never)
    }) as typeof near.write
    for (let n = 0; n < 30; n++) {
      const taken = Promise.withResolvers<void>()
      writer.write(listOf(n, [40_000, 30_000]))
      write(new Uint8Array(1), () => taken.resolve())
      await taken.promise
    }
    expect(seen.size).toBeLessThan(5)
  })

  test(`${kind}: a socket destroyed in the middle spoils no other's messages`, async () => {
    const [doomed, other] = [await pair(), await pair()]
    const writers = [new SocketWriter(doomed.near), new SocketWriter(other.near)] as const
    const begun: Buffer[] = []
    doomed.far.on('data', (piece: Buffer) => begun.push(piece))
    const expected = createHash('sha256')
    const promised: Uint8Array[] = []
    for (let n = 0; n < 30; n++) {
      const list = listOf(n, [12, 120_000])
      promised.push(list.slice())
      writers[0].write(list)
    }
    doomed.near.destroy()
    // Its memory may be lent again now, while its bytes are on their way.
    const reading = readAll(other.far, true)
    for (let n = 100; n < 160; n++) {
      const list = listOf(n, [12, 120_000])
      expected.update(list.subarray())
      writers[1].write(list)
      // Written to no avail, and no harm.
      if (n < 105) writers[0].write(listOf(n, [12, 120_000]))
    }
    other.near.end()
    expect((await reading).hash.digest('hex')).toBe(expected.digest('hex'))
    doomed.far.resume()
    if (!doomed.far.closed) await once(doomed.far, 'close')
    // Whatever came is how it began.
    const came = Buffer.concat(begun)
    expect(Buffer.compare(came, Buffer.concat(promised).subarray(0, came.length))).toBe(0)
  })
}

test('lent memory that is written by itself is lent again once it was taken', async () => {
  const { near, far } = await (kinds[0] as (typeof kinds)[0])[1]()
  far.resume()
  const bytes = lend(333_000)
  const taken = once(near, 'drain')
  if (new SocketWriter(near).write(bytes).canSendMore) near.write('', () => near.emit('drain'))
  await taken
  const again = Array.from({ length: 17 }, () => lend(333_000))
  expect(again.some(({ buffer }) => buffer === bytes.buffer)).toBe(true)
  for (const one of again) handBack(one)
})

test('a list of one piece is written as it is; lent memory, which Noise seals into, comes back', async () => {
  const written: Uint8Array[] = []
  const socket = {
    writable: true,
    writableNeedDrain: false,
    write(bytes: Uint8Array, taken?: () => void) {
      written.push(bytes)
      taken?.()
    },
  }
  const writer = new SocketWriter(socket as unknown as Socket)
  const sealed = lend(70_000)
  const update = new Uint8Array(12)
  writer.write(new Uint8ArrayList(sealed))
  writer.write(new Uint8ArrayList(update))
  await new Promise((resolve) => setImmediate(resolve))
  expect([written[0] === sealed, isLent(sealed), written[1] === update]).toEqual([true, false, true])
})
