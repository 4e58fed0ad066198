import { beforeEach, describe, expect, test } from 'bun:test'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RpcCommand } from '#src/config/rpc-allow.ts'
import { knowsHash } from '#src/content/digest.ts'
import { Delegates, type DelegatesDeps } from '#src/http/delegates.ts'
import { createPublic, type PublicApp, type PublicOutcome } from '#src/http/public.ts'
import type { RpcTarget } from '#src/rpc/answers.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { chunk, chunkedHead, startRawBackend, whole } from '#test/unit/rpc/raw-backend.ts'
import { untilSettled } from '#test/unit/rpc/settled.ts'

const keep = keepUntilAfterEach()
const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'
const all: readonly RpcCommand[] = [
  'block/stat',
  'dht/findprovs',
  'dht/put',
  'dht/query',
  'resolve',
  'routing/v1',
]

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

let seen: Seen[]
let lost: string[]
let keys: string[]
let counts: PublicOutcome[]

beforeEach(() => {
  seen = []
  lost = []
  keys = []
  counts = []
})

type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function serve(answer: Answer): Promise<string> {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (bytes) => {
      body += bytes
    })
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      seen.push({ method, url, headers, body })
      answer(request, response)
    })
  })
  keep({
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const json =
  (value: unknown, status = 200, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', 'x-chunked-output': '1', ...headers })
    response.end(`${JSON.stringify(value)}\n`)
  }

function depsFor(target: RpcTarget | undefined, more: Partial<DelegatesDeps> = {}): DelegatesDeps {
  const choose = (key: string) => {
    keys.push(key)
    return target
  }
  return {
    allowed: all,
    choose,
    chooseGateway: choose,
    disguise: { hides: (id) => id === 'BACK', self: () => ({ id: 'EDGE', addresses: ['/dns4/edge/tcp/1'] }) },
    groupOf: (address) => address,
    onLost: (reason) => lost.push(reason),
    ...more,
  }
}

function appFor(target: RpcTarget | undefined, more: Partial<DelegatesDeps> = {}): PublicApp {
  return createPublic({
    refs: undefined,
    forward: depsFor(target, more),
    knowsHash,
    count: (outcome) => counts.push(outcome),
  })
}

const ask = async (
  app: PublicApp,
  path: string,
  init: RequestInit = { method: 'POST' },
  from = '203.0.113.7',
) => app.fetch(new Request(`http://edge${path}`, init), { remoteAddress: from })
const findprovs = `/api/v0/dht/findprovs?arg=${cid}`

describe('a command', () => {
  test.each(['GET', 'POST'])(
    'by %s goes to a backend by POST, under the name of today, and back',
    async (method) => {
      const event = {
        Extra: '',
        ID: '',
        Responses: [{ Addrs: ['/ip4/1.2.3.4/tcp/1'], ID: 'OTHER' }],
        Type: 4,
      }
      const url = await serve(json(event))
      const headers = {
        authorization: 'Bearer theirs',
        cookie: 'a=b',
        'x-forwarded-for': '1.2.3.4',
        origin: 'https://x',
      }
      const response = await ask(
        appFor({ url, authorization: 'Bearer ours' }),
        `${findprovs}&timeout=30s&stream-channels=true`,
        { method, headers },
      )
      expect([response.status, await response.json()]).toEqual([200, event])
      expect(seen[0]).toMatchObject({
        method: 'POST',
        url: `/api/v0/routing/findprovs?arg=${cid}&num-providers=20&timeout=30000ms`,
        body: '',
      })
      expect(seen[0]?.headers.authorization).toBe('Bearer ours')
      expect(Object.keys(seen[0]?.headers ?? {}).sort()).toEqual([
        'authorization',
        'connection',
        'content-length',
        'host',
      ])
      expect(keys).toEqual([cid])
      expect(counts).toEqual(['served'])
    },
  )

  test('of what a backend says about itself only how to read the answer is passed on', async () => {
    const url = await serve(
      json({ Path: '/ipfs/x' }, 200, {
        server: 'kubo/0.42',
        'set-cookie': 'a=b',
        'x-backend': '10.0.0.1',
        authorization: 'x',
      }),
    )
    const response = await ask(appFor({ url }), `/api/v0/resolve?arg=${cid}`)
    expect(await response.json()).toEqual({ Path: '/ipfs/x' })
    const names = [...response.headers.keys()].filter((name) => !name.startsWith('access-control')).sort()
    expect(names).toEqual(['cache-control', 'content-type', 'x-chunked-output', 'x-content-type-options'])
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
  })

  test('this edge stands in for its backends', async () => {
    const url = await serve(json({ Type: 4, Responses: [{ ID: 'BACK', Addrs: ['/ip4/10.0.0.1/tcp/4001'] }] }))
    const response = await ask(appFor({ url }), findprovs)
    expect(await response.json()).toEqual({
      Type: 4,
      Responses: [{ ID: 'EDGE', Addrs: ['/dns4/edge/tcp/1'] }],
    })
  })

  test('lines come as they are said', async () => {
    const rest = Promise.withResolvers<void>()
    const url = await serve(async (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"Type":0}\n{"Ty')
      await rest.promise
      response.end('pe":1}\n')
    })
    const reader = (await ask(appFor({ url }), findprovs)).body!.getReader()
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('{"Type":0}\n')
    rest.resolve()
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('{"Type":1}\n')
    expect((await reader.read()).done).toBe(true)
  })

  test('with a value in its body passes that on, as it is', async () => {
    const url = await serve(json({ Type: 5 }))
    const form = new FormData()
    form.append('file', new Blob(['record']), 'value')
    const response = await ask(appFor({ url }), `/api/v0/dht/put?arg=/ipns/${peer}`, {
      method: 'POST',
      body: form,
    })
    expect(response.status).toBe(200)
    expect(seen[0]?.url).toStartWith('/api/v0/routing/put?')
    expect(seen[0]?.headers['content-type']).toStartWith('multipart/form-data')
    expect(seen[0]?.body).toContain('record')
  })

  test('a body that is missing, too large or of no use', async () => {
    const url = await serve(json({}))
    const app = appFor({ url })
    const put = `/api/v0/dht/put?arg=/ipns/${peer}`
    expect((await ask(app, put, { method: 'POST', body: 'x' })).status).toBe(400)
    const headers = { 'content-type': 'multipart/form-data; boundary=x' }
    const large = { method: 'POST', body: 'x'.repeat(70_000), headers }
    expect((await ask(app, put, large)).status).toBe(413)
    expect(seen).toEqual([])
    expect((await ask(app, findprovs, { method: 'POST', body: 'whatever' })).status).toBe(200)
    expect(seen[0]?.body).toBe('')
  })
})

describe('no backend hears of', () => {
  test.each([
    ['what is not allowed', '/api/v0/dht/get?arg=x', 404],
    ['a command that never is', '/api/v0/shutdown', 404],
    ['the new name of one that is allowed by its old', `/api/v0/routing/findprovs?arg=${cid}`, 404],
    ['bad arguments', '/api/v0/dht/findprovs?arg=http://10.0.0.1/', 400],
    ['a path that leads elsewhere', `/api/v0/block/stat?arg=${cid}/../../x`, 400],
    ['a lookup that there is not', '/routing/v1/x/y', 404],
    ['a bad lookup', '/routing/v1/providers/x', 400],
    ['a huge query', `/api/v0/resolve?arg=${'a'.repeat(1024 * 1024)}`, 414],
  ])('%s', async (_, path, status) => {
    const url = await serve(json({}))
    const app = appFor({ url })
    const response = await ask(app, path, { method: path.startsWith('/routing') ? 'GET' : 'POST' })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ Type: 'error' })
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect([seen, keys]).toEqual([[], []])
  })

  test('other methods', async () => {
    const app = appFor({ url: 'http://127.0.0.1:1' })
    const head = await ask(app, findprovs, { method: 'HEAD' })
    expect([head.status, head.headers.get('allow')]).toEqual([405, 'GET, POST, OPTIONS'])
    const put = await ask(app, `/routing/v1/ipns/${cid}`, { method: 'PUT', body: 'x' })
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, OPTIONS'])
    expect(keys).toEqual([])
  })
})

describe('a backend that', () => {
  const noBackend = { url: 'http://127.0.0.1:1' }

  test('is not there: 502 without a word about it, and a reason for logs', async () => {
    const response = await ask(appFor(noBackend), findprovs)
    const text = await response.text()
    expect(response.status).toBe(502)
    expect(text).not.toContain('127.0.0.1')
    expect(lost[0]).toContain('cannot be reached')
    expect(counts).toEqual(['failed'])
  })

  test('is not ready: 503, come back', async () => {
    const response = await ask(appFor(undefined), findprovs)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
  })

  test.each([
    [500, 'routing: not found', 'routing: not found'],
    [400, 'invalid peer ID', 'invalid peer ID'],
    [500, 'dial tcp 10.0.0.1:4001: refused Bearer s3cret', 'dial tcp [address]: refused Bearer [redacted]'],
  ])('says no with %d: its words, made fit for clients', async (status, said, words) => {
    const url = await serve(json({ Message: said, Code: 0, Type: 'error' }, status))
    const response = await ask(appFor({ url, authorization: 'Bearer s3cret' }), findprovs)
    expect([response.status, await response.json()]).toMatchObject([
      status,
      { Message: words, Type: 'error' },
    ])
  })

  test.each([
    ['redirects', whole('302 Found', 'text/plain', '', 'Location: http://127.0.0.1:1/\r\n')],
    ['is a web server', whole('200 OK', 'text/html', '<h1>10.0.0.1</h1>')],
    ['refuses us', whole('401 Unauthorized', 'text/plain', 'Bearer s3cret')],
    ['is behind a proxy that is ill', whole('503 Service Unavailable', 'text/plain', 'upstream 10.0.0.1')],
    ['sends no HTTP', 'SSH-2.0\r\n\r\n'],
    ['sends something else', whole('200 OK', 'image/png', 'x')],
  ])('%s: 502', async (_, text) => {
    const { url } = keep(await startRawBackend((socket) => socket.write(text)))
    const response = await ask(appFor({ url, authorization: 'Bearer s3cret' }), findprovs)
    expect(response.status).toBe(502)
    expect(await response.text()).not.toMatch(/10\.|s3cret|127/)
    expect(lost.join()).not.toContain('s3cret')
  })

  test('breaks off: the answer ends in an error', async () => {
    const { url } = keep(
      await startRawBackend((socket) => socket.end(chunkedHead + chunk('{"Type":0}\n{"Ty'))),
    )
    const lines = (await (await ask(appFor({ url }), findprovs)).text()).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { Type: 0 },
      { Message: 'the answer broke off', Code: 0, Type: 'error' },
    ])
  })

  test('sends what is no JSON: it is not passed on', async () => {
    const { url, closed } = keep(
      await startRawBackend((socket) => socket.write(chunkedHead + chunk('at 10.0.0.1\n'))),
    )
    const text = await (await ask(appFor({ url }), findprovs)).text()
    expect(text).not.toContain('10.0')
    expect(text).toContain('"Type":"error"')
    await closed
  })

  test('never ends a line: it is given up', async () => {
    const { url, closed } = keep(
      await startRawBackend((socket) => {
        socket.write(chunkedHead)
        const pump = () => {
          while (!socket.destroyed && socket.write(chunk('x'.repeat(65_536)))) {}
          if (!socket.destroyed) socket.once('drain', pump)
        }
        pump()
      }),
    )
    expect(await (await ask(appFor({ url }), findprovs)).text()).toContain('"Type":"error"')
    await closed
  })

  test('sends more than 16 MiB: it is given up there', async () => {
    const line = `${JSON.stringify({ x: 'x'.repeat(65_000) })}\n`
    const { url, closed } = keep(
      await startRawBackend((socket) => {
        socket.write(chunkedHead)
        const pump = () => {
          while (!socket.destroyed && socket.write(chunk(line))) {}
          if (!socket.destroyed) socket.once('drain', pump)
        }
        pump()
      }),
    )
    const text = await (await ask(appFor({ url }), findprovs)).text()
    expect(text.length).toBeGreaterThan(15 * 1024 * 1024)
    expect(text.length).toBeLessThan(17 * 1024 * 1024)
    expect(text).toEndWith('"Type":"error"}\n')
    await closed
  })

  test('hangs, before or in its answer: the time is over for it', async () => {
    for (const text of ['', chunkedHead + chunk('{"Type":0}\n')]) {
      const backend = keep(await startRawBackend((socket) => socket.write(text)))
      const delegates = new Delegates(depsFor({ url: backend.url }), { maxMs: 1_200 })
      const request = new Request(`http://edge${findprovs}&timeout=100ms`, { method: 'POST' })
      const response = await delegates.answer('dht/findprovs', request, 'a')
      expect(response.status).toBe(text === '' ? 504 : 200)
      expect(await response.text()).toContain('"Type":"error"')
      await backend.closed
    }
  })
})

describe('a client that', () => {
  test('goes away ends the work of the backend, before or in the answer', async () => {
    for (const text of ['', chunkedHead + chunk('{"Type":0}\n')]) {
      const backend = keep(await startRawBackend((socket) => socket.write(text)))
      const controller = new AbortController()
      const answer = ask(appFor({ url: backend.url }), findprovs, {
        method: 'POST',
        signal: controller.signal,
      })
      await until(() => backend.requests.length === 1)
      if (text === '') controller.abort()
      else await (await answer).body!.cancel()
      await backend.closed
      await answer
    }
  })

  test('does not read holds the backend back', async () => {
    let sent = 0
    const { url } = keep(
      await startRawBackend((socket) => {
        socket.write(chunkedHead)
        const pump = () => {
          while (!socket.destroyed && sent < 1_000) {
            sent++
            if (!socket.write(chunk(`${JSON.stringify({ x: 'x'.repeat(65_000) })}\n`))) break
          }
          if (!socket.destroyed && sent < 1_000) socket.once('drain', pump)
        }
        pump()
      }),
    )
    const response = await ask(appFor({ url }), findprovs)
    await untilSettled(() => sent)
    expect(sent).toBeGreaterThan(0)
    expect(sent).toBeLessThan(500)
    await response.body!.cancel()
  })

  test('asks too much at once is told when to come back; others are served', async () => {
    const release = Promise.withResolvers<void>()
    const url = await serve(async (request, response) => {
      await release.promise
      json({})(request, response)
    })
    const app = appFor({ url })
    const ours = Array.from({ length: 8 }, () => ask(app, findprovs, { method: 'POST' }, '203.0.113.1'))
    await until(() => seen.length === 8)
    const refused = await ask(app, findprovs, { method: 'POST' }, '203.0.113.1')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
    expect(await refused.json()).toMatchObject({ Code: 3, Type: 'error' })
    const theirs = Array.from({ length: 56 }, (_, i) =>
      ask(app, findprovs, { method: 'POST' }, `203.0.113.${10 + (i % 7)}`),
    )
    await until(() => seen.length === 64)
    expect((await ask(app, findprovs, { method: 'POST' }, '203.0.113.99')).status).toBe(429)
    release.resolve()
    const answers = await Promise.all([...ours, ...theirs])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await Promise.all(answers.map((answer) => answer.text()))
    expect((await ask(app, findprovs, { method: 'POST' }, '203.0.113.1')).status).toBe(200)
    expect(counts.filter((outcome) => outcome === 'too-many')).toHaveLength(2)
  })

  test('is given its place back after every kind of failure', async () => {
    const app = appFor({ url: 'http://127.0.0.1:1' })
    for (let i = 0; i < 20; i++) expect((await ask(app, findprovs)).status).toBe(502)
    const hung = keep(await startRawBackend(() => {}))
    const hanging = appFor({ url: hung.url })
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController()
      const answer = ask(hanging, findprovs, { method: 'POST', signal: controller.signal })
      await until(() => hung.requests.length === i + 1)
      controller.abort()
      expect((await answer).status).not.toBe(429)
    }
  })
})

describe('/routing/v1', () => {
  const providers = `/routing/v1/providers/${cid}`

  test('goes to a gateway by GET, and may be cached as that says', async () => {
    const url = await serve((request, response) => {
      response.writeHead(200, {
        'content-type': request.headers.accept ?? '',
        'cache-control': 'public, max-age=300',
        etag: '"x"',
        server: 'kubo',
      })
      response.end(
        JSON.stringify({ Providers: [{ Schema: 'peer', ID: 'BACK', Addrs: ['/ip4/10.0.0.1/tcp/4001'] }] }),
      )
    })
    const headers = { accept: 'application/json', authorization: 'Bearer theirs' }
    const response = await ask(appFor({ url }), `${providers}?filter-protocols=unknown`, { headers })
    expect(await response.json()).toEqual({
      Providers: [{ Schema: 'peer', ID: 'EDGE', Addrs: ['/dns4/edge/tcp/1'] }],
    })
    expect(response.headers.get('cache-control')).toBe('public, max-age=300')
    expect(response.headers.get('etag')).toBeNull()
    expect(seen[0]).toMatchObject({ method: 'GET', url: `${providers}?filter-protocols=unknown` })
    expect(seen[0]?.headers.authorization).toBeUndefined()
  })

  test('a record is passed on byte by byte', async () => {
    const record = Uint8Array.from({ length: 5_000 }, (_, i) => i % 256)
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.ipfs.ipns-record' })
      response.end(record)
    })
    const name = 'k51qzi5uqu5dkkciu33khkzbcmxtyhn376i1e83tya8kuy7z9euedzyr5nhoew'
    const response = await ask(appFor({ url }), `/routing/v1/ipns/${name}`, {})
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(record)
    expect(response.headers.get('content-type')).toBe('application/vnd.ipfs.ipns-record')
  })

  test('no record is 404', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
      response.end('delegate error: routing: not found at 10.0.0.1:5001\n')
    })
    const name = 'k51qzi5uqu5dkkciu33khkzbcmxtyhn376i1e83tya8kuy7z9euedzyr5nhoew'
    const response = await ask(appFor({ url }), `/routing/v1/ipns/${name}`, {})
    expect([response.status, await response.json()]).toMatchObject([
      404,
      { Message: 'delegate error: routing: not found at [address]' },
    ])
    expect(counts).toEqual(['served'])
  })

  test('is 404 where no backend has a gateway, or it is not allowed', async () => {
    const without = appFor({ url: 'http://127.0.0.1:1' }, { chooseGateway: undefined })
    expect((await ask(without, providers, {})).status).toBe(404)
    const disallowed = appFor({ url: 'http://127.0.0.1:1' }, { allowed: ['resolve'] })
    expect((await ask(disallowed, providers, {})).status).toBe(404)
  })
})
