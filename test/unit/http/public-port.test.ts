import { afterEach, beforeEach, expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { knowsHash } from '#src/content/digest.ts'
import { createPublic } from '#src/http/public.ts'
import { FakeRefs } from '#test/unit/http/fake-refs.ts'
import { type FrontUnderTest, startFront, until } from '#test/unit/p2p/front-under-test.ts'
import { untilSettled } from '#test/unit/rpc/settled.ts'

/** The public API on the real port, with real sockets: what only shows there. */

const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
let refs: FakeRefs
let front: FrontUnderTest
let sockets: Socket[]

beforeEach(async () => {
  refs = new FakeRefs()
  sockets = []
  front = await startFront({
    handleRequest: createPublic({ refs, forward: undefined, knowsHash }).fetch,
  })
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await front.stop()
})

/** A raw connection, which shows what is said on it. */
function dial(text: string): { socket: Socket; received: () => string; closed: () => boolean } {
  const socket = connect(front.port, '127.0.0.1', () => socket.write(text))
  let received = ''
  let closed = false
  sockets.push(socket)
  socket.on('data', (bytes) => {
    received += bytes.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  return { socket, received: () => received, closed: () => closed }
}

const request = (head = '') =>
  `POST /api/v0/refs?r=true&arg=${cid} HTTP/1.1\r\nHost: x\r\nOrigin: https://page.example\r\n${head}\r\n`
const empty = request('Content-Length: 0\r\n')

test('a call and its answer, chunk by chunk, from the address of the socket', async () => {
  const { received } = dial(empty)
  const call = await refs.next()
  expect(call.request.address).toBe('127.0.0.1')
  expect(received()).toBe('')
  call.push('a')
  await until(() => received().includes('{"Ref":"a","Err":""}'))
  expect(received()).toStartWith('HTTP/1.1 200 OK\r\n')
  expect(received().toLowerCase()).toContain('\r\naccess-control-allow-origin: *\r\n')
  expect(received().toLowerCase()).toContain('\r\ntransfer-encoding: chunked\r\n')
  call.push('b')
  await until(() => received().includes('{"Ref":"b","Err":""}'))
  call.finish({ kind: 'failed', reason: 'backend', message: 'broken' })
  await until(() => received().endsWith('0\r\n\r\n'))
  expect(received()).toContain('{"Ref":"","Err":"broken"}\n')
})

test('whoever closes while waiting or reading has left', async () => {
  const waiting = dial(empty)
  const first = await refs.next()
  waiting.socket.destroy()
  await first.left
  const reading = dial(empty)
  const second = await refs.next()
  second.push('a')
  await until(() => reading.received().includes('Ref'))
  reading.socket.destroy()
  await second.left
})

test('a client that does not read holds the call back', async () => {
  const { socket } = dial(empty)
  const call = await refs.next()
  socket.pause()
  const line = 'x'.repeat(64 * 1024)
  // A relay with no end of lines: each time it is read, there are some more.
  let given = 0
  const read = call.read.bind(call)
  call.read = () => {
    given++
    call.push(line)
    return read()
  }
  call.push(line)
  await untilSettled(() => given)
  expect(given).toBeGreaterThan(1)
  // 16 MiB are more than two sockets hold.
  expect(given).toBeLessThan(256)
  socket.destroy()
  await call.left
})

test('a body that nobody wants is not kept, however large it is', async () => {
  const before = process.memoryUsage().rss
  const { socket, received, closed } = dial(request('Transfer-Encoding: chunked\r\n'))
  const piece = `10000\r\n${'x'.repeat(65_536)}\r\n`
  let sent = 0
  const pump = () => {
    while (!socket.destroyed && sent < 4_000) {
      sent++
      if (!socket.write(piece)) {
        socket.once('drain', pump)
        return
      }
    }
  }
  socket.once('connect', pump)
  await until(() => received().startsWith('HTTP/1.1 413'))
  await until(() => closed() || sent >= 4_000)
  // The server reads on for a while, so that its answer arrives, and then closes.
  expect(sent).toBeLessThan(2_000)
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)
  expect(refs.calls).toEqual([])
})

test('a query that is too long is refused, by the API or the port, and costs nobody else anything', async () => {
  const long = `GET /api/v0/refs?arg=${'a'.repeat(12_000)} HTTP/1.1\r\nHost: x\r\n\r\n`
  const api = dial(long)
  await until(() => api.received().startsWith('HTTP/1.1 414'))
  const port = dial(`GET /api/v0/refs?arg=${'a'.repeat(1024 * 1024)} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await until(() => port.received().startsWith('HTTP/1.1 431') || port.closed())
  expect((await fetch(`${front.origin}/healthz`)).status).toBe(200)
  expect(refs.calls).toEqual([])
})

test('HEAD is 405, and the connection goes on', async () => {
  const { received } = dial(
    `HEAD /api/v0/refs?arg=${cid} HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`,
  )
  await until(() => received().endsWith('ok'))
  expect(received()).toStartWith('HTTP/1.1 405')
  expect(refs.calls).toEqual([])
})
