import { afterEach, describe, expect, test } from 'bun:test'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { proxyLine } from '#test/support/proxy-header.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { rawSocket, startWeb, upgradeRequest, type WebUnderTest } from '#test/unit/p2p/web-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const trusted = ['127.0.0.1/32', '10.0.0.0/8']

/** A listener behind a load balancer at 127.0.0.1, whose handler says who it heard. */
async function web(options: Parameters<typeof startWeb>[1] = {}, handler?: Parameters<typeof startWeb>[0]) {
  const answer =
    handler ?? ((_: Request, facts: { remoteAddress: string }) => new Response(facts.remoteAddress))
  const started = await startWeb(answer, { trusted, ...options })
  stops.push(started.stop)
  return started
}

function raw(port: number, localAddress?: string) {
  const opened = rawSocket(port, localAddress)
  stops.push(opened.stop)
  return opened
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: IncomingHttpHeaders
}

function ask(
  { port }: WebUnderTest,
  headers: Record<string, string | string[]>,
  localAddress = '127.0.0.1',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', localAddress, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }))
    })
      .on('error', reject)
      .end()
  })
}

/** Asks for a WebSocket; resolves with the status, and how to close it. */
async function upgrade({ port }: WebUnderTest, ...lines: string[]) {
  const opened = raw(port)
  opened.socket.write(upgradeRequest(...lines))
  await until(() => /^HTTP\/1\.1 \d{3}.*\r\n\r\n/s.test(opened.received()))
  return { status: Number(opened.received().slice(9, 12)), ...opened }
}

describe('who is calling over HTTP', () => {
  test.each<[string, Record<string, string | string[]>, string]>([
    ['X-Forwarded-For', { 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1'],
    ['a forged left part', { 'x-forwarded-for': '6.6.6.6, 192.0.2.1' }, '192.0.2.1'],
    ['another load balancer in between', { 'x-forwarded-for': '192.0.2.1, 10.0.0.9' }, '192.0.2.1'],
    ['a repeated header', { 'x-forwarded-for': ['6.6.6.6', '192.0.2.1'] }, '192.0.2.1'],
    ['Forwarded', { forwarded: 'for="[2001:db8::1]:7";proto=https' }, '2001:db8::1'],
    ['neither', {}, '127.0.0.1'],
  ])('%s', async (_, headers, host) => {
    expect(await ask(await web(), headers)).toMatchObject({ status: 200, text: host })
  })

  test('is the socket where the socket is not trusted', async () => {
    const headers = { 'x-forwarded-for': '6.6.6.6', forwarded: 'for=7.7.7.7' }
    expect((await ask(await web(), headers, '127.0.0.2')).text).toBe('127.0.0.2')
  })

  test('is what the PROXY header says, and from there what a trusted client of it says', async () => {
    const started = await web({ proxyProtocol: true })
    for (const [proxied, heard] of [
      ['192.0.2.7', '192.0.2.7'],
      ['10.0.0.9', '192.0.2.1'],
    ] as const) {
      const { socket, received } = raw(started.port)
      socket.write(proxyLine({ host: proxied, port: 1 }, { host: '127.0.0.1', port: 2 }))
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n')
      await until(() => received().endsWith(heard))
    }
  })

  test('two headers that contradict each other are refused, with what mends it', async () => {
    const started = await web()
    const answer = await ask(started, { 'x-forwarded-for': '192.0.2.1', forwarded: 'for=6.6.6.6' })
    expect(answer.status).toBe(400)
    expect(answer.text).toContain('proxy_set_header Forwarded')
    expect(answer.headers['access-control-allow-origin']).toBe('*')
    expect(started.refusals).toEqual(['forwarding-contradiction'])
  })
})

describe('limits behind a load balancer', () => {
  const limits = { maxConnectionsPerAddress: 1 }

  test('its sockets count in all, and for no address', async () => {
    const { gate, port } = await web({ limits })
    for (let i = 0; i < 5; i++) raw(port).socket.write('G')
    await until(() => gate.open === 5)
    expect(gate.addresses).toBe(0)
  })

  test('a WebSocket counts for its client as long as it is open', async () => {
    const started = await web({ limits })
    const first = await upgrade(started, 'X-Forwarded-For: 192.0.2.1')
    expect([first.status, started.gate.addresses]).toEqual([101, 1])
    const second = await upgrade(started, 'X-Forwarded-For: 6.6.6.6, 192.0.2.1')
    await second.closed
    expect(second.status).toBe(429)
    expect(second.received()).toMatch(/\r\nRetry-After: \d+\r\n/)
    expect((await upgrade(started, 'X-Forwarded-For: 192.0.2.2')).status).toBe(101)
    expect(started.refusals).toEqual(['too-many-connections-per-address'])
    first.socket.destroy()
    await until(() => started.gate.addresses === 1)
    expect((await upgrade(started, 'Forwarded: for=192.0.2.1')).status).toBe(101)
  })

  test('a request counts for its client as long as it is answered', async () => {
    const release = Promise.withResolvers<Response>()
    const started = await web({ limits }, ({ url }) =>
      url.endsWith('/slow') ? release.promise : new Response('quick'),
    )
    const slow = raw(started.port)
    slow.socket.write('GET /slow HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n')
    await until(() => started.gate.addresses === 1)
    const refused = await ask(started, { 'x-forwarded-for': '192.0.2.1' })
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '10'])
    expect((await ask(started, { 'x-forwarded-for': '192.0.2.2' })).text).toBe('quick')
    release.resolve(new Response('slow'))
    await until(() => slow.received().includes('slow') && started.gate.addresses === 0)
    expect((await ask(started, { 'x-forwarded-for': '192.0.2.1' })).text).toBe('quick')
  })

  test('a contradiction is refused before an upgrade as well', async () => {
    const started = await web()
    const refused = await upgrade(started, 'X-Forwarded-For: 192.0.2.1', 'Forwarded: for=6.6.6.6')
    await refused.closed
    expect(refused.status).toBe(400)
    expect([started.gate.addresses, started.refusals]).toEqual([0, ['forwarding-contradiction']])
  })

  test('while draining no new WebSocket comes over an old socket, and requests are answered', async () => {
    const started = await web()
    const old = raw(started.port)
    old.socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n')
    await until(() => old.received().endsWith('192.0.2.1'))
    started.gate.close()
    old.socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.3\r\n\r\n')
    await until(() => old.received().endsWith('192.0.2.3'))
    old.socket.write(upgradeRequest('X-Forwarded-For: 192.0.2.2'))
    await old.closed
    expect(old.received()).toContain('HTTP/1.1 503')
    expect([started.refusals, started.gate.addresses]).toEqual([['draining'], 0])
  })
})
