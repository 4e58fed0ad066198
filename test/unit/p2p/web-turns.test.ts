import { afterEach, describe, expect, test } from 'bun:test'
import { request as httpRequest } from 'node:http'
import type { RequestHandler } from '#src/p2p/web/http-door.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { rawSocket, startWeb, type WebUnderTest } from '#test/unit/p2p/web-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function web(...args: Parameters<typeof startWeb>): Promise<WebUnderTest> {
  const started = await startWeb(...args)
  stops.push(started.stop)
  return started
}

function raw(port: number) {
  const opened = rawSocket(port)
  stops.push(opened.stop)
  return opened
}

const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const short = { headMs: 150, bodyMs: 150, stallMs: 150 }

/** Answers with a line every 20 ms, `count` of them. */
function lines(count: number): Response {
  let sent = 0
  let timer: ReturnType<typeof setInterval>
  return new Response(
    new ReadableStream<Uint8Array>({
      start(controller) {
        timer = setInterval(() => {
          controller.enqueue(Buffer.from(`line ${sent}\n`))
          if (++sent < count) return
          clearInterval(timer)
          controller.close()
        }, 20)
      },
      cancel: () => clearInterval(timer),
    }),
  )
}

/** Answers with bytes as long as anybody takes them. */
function flood(cancel: () => void): Response {
  return new Response(
    new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
      cancel,
    }),
  )
}

describe('an answer', () => {
  test.each([
    ['GET', undefined],
    ['POST', ''],
    ['POST', 'a body that nobody reads'],
  ])('to %s with body %p may take longer than every deadline of a client', async (method, body) => {
    const { port } = await web(() => lines(30), { turns: short })
    const answer = await fetch(`http://127.0.0.1:${port}/`, { method, ...(body !== undefined && { body }) })
    expect((await answer.text()).split('\n')).toHaveLength(31)
  })

  test('that begins late is waited for', async () => {
    const late: RequestHandler = () =>
      new Promise((resolve) => setTimeout(() => resolve(new Response('late')), 500))
    const { port } = await web(late, { turns: short })
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('late')
  })

  test('to a client that stops reading is cut off', async () => {
    const cancelled = Promise.withResolvers<void>()
    const { port, gate } = await web(() => flood(cancelled.resolve), { turns: { ...short, stallMs: 300 } })
    const { socket } = raw(port)
    socket.pause()
    socket.write(get)
    await cancelled.promise
    await until(() => gate.open === 0)
  })

  test('to a client that reads slowly is not', async () => {
    let cancelled = false
    // The kernel tells of what is read in steps of a third of its buffers: here three of them a second.
    const { port } = await web(() => flood(() => (cancelled = true)), { turns: { ...short, stallMs: 1_000 } })
    const { socket } = raw(port)
    let read = 0
    let reads = 0
    const enough = Promise.withResolvers<void>()
    socket.on('data', (bytes) => {
      read += bytes.length
      if (read < 500_000 * (reads + 1)) return
      socket.pause()
      if (++reads === 20) enough.resolve()
      setTimeout(() => socket.resume(), 100)
    })
    socket.write(get)
    await enough.promise
    expect([cancelled, socket.destroyed]).toEqual([false, false])
  })
})

describe('a client that leaves is told to the handler', () => {
  test.each<[string, string, Response | undefined]>([
    ['before the answer', get, undefined],
    ['before the answer to a POST', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', undefined],
    ['within its body', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf', undefined],
    ['within the answer', get, lines(1_000_000)],
  ])('%s', async (_, request, response) => {
    const asked = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<void>()
    const { port, gate } = await web(({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve())
      asked.resolve()
      return response ?? new Promise<Response>(() => {})
    })
    const { socket, received } = raw(port)
    socket.write(request)
    await asked.promise
    if (response !== undefined) await until(() => received().includes('line'))
    socket.destroy()
    await aborted.promise
    await until(() => gate.open === 0)
  })
})

describe('a client', () => {
  test('that does not send its body is cut off', async () => {
    const never: RequestHandler = async (request) => new Response(await request.text())
    const { port, gate } = await web(never, { turns: { ...short, headMs: 60_000 } })
    const { socket, closed } = raw(port)
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf')
    await closed
    await until(() => gate.open === 0)
  })

  test('that has its answer and is silent is cut off, whether its request was read or not', async () => {
    const { port } = await web(() => new Response('x'), {
      turns: { ...short, bodyMs: 60_000, stallMs: 60_000 },
    })
    for (const request of [get, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody']) {
      const { socket, closed, received } = raw(port)
      socket.write(request)
      await closed
      expect(received()).toStartWith('HTTP/1.1 200')
    }
  })

  test('may send 2 MiB, and use its connection again', async () => {
    const size: RequestHandler = async (request) =>
      new Response(`${(await request.arrayBuffer()).byteLength}`)
    const { port } = await web(size)
    const body = new Uint8Array(2 * 1024 * 1024)
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })
      expect(await answer.text()).toBe(`${body.length}`)
    }
  })

  test('that sends a head of more than 16 KiB is refused', async () => {
    let asked = 0
    const { port, gate } = await web(() => new Response(`${++asked}`))
    const { socket, closed } = raw(port)
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${'1.1.1.1, '.repeat(10_000)}\r\n\r\n`)
    await closed
    await until(() => gate.open === 0)
    expect(asked).toBe(0)
  })

  test('that sends requests without waiting for answers may have eight under way', async () => {
    let asked = 0
    const { port, gate, refusals } = await web(() => {
      asked++
      return new Promise<Response>(() => {})
    })
    const { socket, closed } = raw(port)
    socket.write(get.repeat(8))
    await until(() => asked === 8)
    socket.write(get.repeat(1_000))
    await closed
    await until(() => gate.open === 0)
    expect(asked).toBe(8)
    expect(new Set(refusals)).toEqual(new Set(['too-many-requests-on-a-socket']))
  })

  test('that waits for each answer may ask as often as it likes on one connection', async () => {
    const { port, refusals } = await web(() => new Response('x'))
    const { socket, received } = raw(port)
    for (let asked = 1; asked <= 30; asked++) {
      socket.write(get)
      await until(() => received().split('HTTP/1.1 200').length === asked + 1)
    }
    expect(refusals).toEqual([])
  })
})

test("a node:http client's local address is what a handler hears", async () => {
  const { port } = await web((_, { remoteAddress }) => new Response(remoteAddress))
  const answer = Promise.withResolvers<string>()
  httpRequest({ port, host: '127.0.0.1', localAddress: '127.0.0.3' }, (response) => {
    response.on('data', (bytes) => answer.resolve(String(bytes)))
  }).end()
  expect(await answer.promise).toBe('127.0.0.3')
})
