import { afterEach, expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { type Served, type ServeLimits, serveHttp } from '#src/http/serve.ts'
import { KitsuneError } from '#src/util/errors.ts'

type OnPort = { readonly host: string; readonly port: number }
const running: Served[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(running.splice(0).map((served) => served.stop()))
})

async function serve(
  options: ServeLimits & Partial<OnPort> = {},
  answer: () => Promise<Response> = async () => new Response('hi'),
) {
  const served = await serveHttp(answer, { host: '127.0.0.1', port: 0, ...options })
  running.push(served)
  return served
}

/** A raw connection: what it was told, and when it was closed. */
function dial(served: Served<OnPort>, text = '') {
  const socket = connect(served.address.port, '127.0.0.1', () => socket.write(text))
  sockets.push(socket)
  let got = ''
  const answered = Promise.withResolvers<string>()
  socket.on('data', (chunk) => {
    got += String(chunk)
    answered.resolve(got)
  })
  const closed = new Promise<string>((resolve) => {
    socket.on('error', () => {})
    socket.on('close', () => resolve(got))
  })
  return { socket, closed, answered: answered.promise }
}

const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

test('port 0 takes a free one, and stop gives it back', async () => {
  const served = await serve()
  const { port } = served.address
  expect(port).toBeGreaterThan(0)
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hi')
  await served.stop()
  await served.stop()
  const again = await serve({ port })
  expect(again.address.port).toBe(port)
})

test('a check by HTTP/1.0, which names no host, is answered', async () => {
  const got = await dial(await serve(), 'GET / HTTP/1.0\r\n\r\n').closed
  expect([got.split(' ')[1], got.split('\r\n\r\n')[1]]).toEqual(['200', 'hi'])
})

test('a port in use is an error that says what to do', async () => {
  const { port } = (await serve()).address
  const error = await serve({ port }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(KitsuneError)
  const { code, side, facts, message } = error as KitsuneError
  expect({ code, side, facts }).toEqual({
    code: 'port-in-use',
    side: 'edge',
    facts: { host: '127.0.0.1', port },
  })
  expect(message).toContain('choose another port')
})

test('the globals of the process stay as they are', async () => {
  const before = [globalThis.Request, globalThis.Response]
  await serve()
  expect([globalThis.Request, globalThis.Response]).toEqual(before)
})

test('a request that never ends is ended', async () => {
  const served = await serve({ requestTimeoutMs: 100 })
  expect(await dial(served, 'GET / HTTP/1.1\r\nHost: x\r\nX-A: ').closed).toStartWith('HTTP/1.1 408')
  await dial(served).closed
})

test('a head that is too big is refused', async () => {
  const served = await serve({ maxHeaderBytes: 8 * 1024 })
  const text = `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(10_000)}\r\n\r\n`
  expect(await dial(served, text).answered).toStartWith('HTTP/1.1 431')
})

test('bytes that are no HTTP do no harm', async () => {
  const served = await serve()
  await dial(served, `\u0016\u0003\u0001${'\u0000'.repeat(50)}\r\n\r\n`).closed
  expect((await fetch(`http://127.0.0.1:${served.address.port}/`)).status).toBe(200)
})

test('connections over the cap are closed, the others served; a place that is left is free again', async () => {
  const served = await serve({ maxConnections: 2 })
  const first = dial(served, request)
  const second = dial(served, request)
  expect(await first.answered).toContain('200 OK')
  expect(await second.answered).toContain('200 OK')
  expect(await dial(served, request).closed).toBe('')
  first.socket.destroy()
  await first.closed
  // The server learns of it a moment later.
  const deadlineMs = performance.now() + 3_000
  let got = ''
  while (got === '' && performance.now() < deadlineMs) {
    const next = dial(served, request)
    got = await Promise.race([next.answered, next.closed])
  }
  expect(got).toContain('200 OK')
})

test('stop lets an answer under way finish, and cuts what does not', async () => {
  const asked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const served = await serve({}, async () => {
    asked.resolve()
    await release.promise
    return new Response('late')
  })
  const slow = dial(served, request)
  await asked.promise
  const stopped = served.stop()
  release.resolve()
  expect(await slow.answered).toContain('late')
  await stopped
  const never = await serve({}, () => new Promise<Response>(() => {}))
  const stuck = dial(never, request)
  const beganMs = performance.now()
  await new Promise<void>((resolve) => stuck.socket.once('connect', () => resolve()))
  await never.stop()
  await stuck.closed
  expect(performance.now() - beganMs).toBeLessThan(3_000)
})
