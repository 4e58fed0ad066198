import { beforeEach, describe, expect, test } from 'bun:test'
import { knowsHash } from '#src/content/digest.ts'
import { createPublic, type PublicApp, type PublicDeps, type PublicOutcome } from '#src/http/public.ts'
import type { RefsFailure, RefsRefusal } from '#src/relay/preload/refs.ts'
import { FakeRefs } from '#test/unit/http/fake-refs.ts'

const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

let refs: FakeRefs
let counts: PublicOutcome[]
let app: PublicApp

beforeEach(() => {
  refs = new FakeRefs()
  counts = []
  app = create()
})

const create = (deps: Partial<PublicDeps> = {}) =>
  createPublic({ refs, forward: undefined, knowsHash, count: (outcome) => counts.push(outcome), ...deps })

const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
  app.fetch(new Request(`http://edge${path}`, init), { remoteAddress: '203.0.113.7' })
const askRefs = (query = `r=true&arg=${cid}`, init: RequestInit = { method: 'POST' }) =>
  ask(`/api/v0/refs?${query}`, init)

/** What every answer of the API must carry, good or bad. */
function expectOpen(response: Response): void {
  expect(response.headers.get('access-control-allow-origin')).toBe('*')
  const exposed = response.headers.get('access-control-expose-headers') ?? ''
  for (const name of ['X-Stream-Output', 'X-Chunked-Output', 'X-Content-Length', 'X-Stream-Error']) {
    expect(exposed).toContain(name)
  }
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
}

async function expectKubo(response: Response, status: number, message: string, code: number): Promise<void> {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(await response.json()).toEqual({
    Message: expect.stringContaining(message),
    Code: code,
    Type: 'error',
  })
  expectOpen(response)
}

describe('the pages', () => {
  test('healthz answers load checks', async () => {
    const response = await ask('/healthz')
    expect([response.status, await response.text()]).toEqual([200, 'ok'])
  })

  test('/ says what this is and how to use it, and nothing about the inside', async () => {
    const response = await ask('/')
    const page = await response.text()
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toStartWith('text/html')
    expect(response.headers.get('content-security-policy')).toBe("default-src 'none'")
    expect(page).toContain('preload')
    expect(page).not.toMatch(/\d+\.\d+|backend|lane|12D3|Qm|bun|deno|hono/i)
    app = create({ refs: undefined })
    expect(await (await ask('/')).text()).not.toContain('preload')
  })

  test('other methods are refused', async () => {
    expect((await ask('/', { method: 'POST' })).status).toBe(405)
    expect((await ask('/healthz', { method: 'HEAD' })).status).toBe(200)
  })
})

describe('everything else', () => {
  test.each([
    '/api/v0/id',
    '/api/v0/config',
    '/api/v0/shutdown',
    '/api/v0/pin/add',
    '/api/v0/dht/findprovs',
    '/api/v0/refs/local',
    '/api/v0/refs/',
    `/api/v0/refs/${cid}`,
    '/api/v0//refs',
    '/api/v0/refs/../id',
    '/api/v0/REFS',
    '/api/v1/refs',
    '/api',
    `/routing/v1/providers/${cid}`,
  ])('%s is 404, open to pages, and no backend hears of it', async (path) => {
    for (const method of ['GET', 'POST', 'PUT']) {
      await expectKubo(await ask(`${path}?arg=${cid}`, { method }), 404, 'not served', 1)
    }
    expect(counts).toEqual(['unknown-path', 'unknown-path', 'unknown-path'])
    expect(refs.calls).toEqual([])
  })

  test.each(['/metrics', '/readyz', '/backends', '/index.html', '/ipfs/x'])('%s is 404', async (path) => {
    expect((await ask(path)).status).toBe(404)
    expect((await ask(path, { method: 'POST' })).status).toBe(404)
  })

  test('without a backend for it refs is unknown', async () => {
    app = create({ refs: undefined })
    await expectKubo(await askRefs(), 404, 'not served', 1)
  })
})

describe('refs', () => {
  test.each(['GET', 'POST'])(
    '%s: nothing is sent before a line is there, then lines as they come',
    async (method) => {
      const answer = askRefs(undefined, { method })
      const call = await refs.next()
      expect(call.request).toMatchObject({ address: '203.0.113.7', timeoutMs: undefined })
      expect(call.request.query).toMatchObject({ arg: cid, recursive: true })
      call.accept()
      expect(await Promise.race([answer, Promise.resolve('nothing')])).toBe('nothing')
      call.push('a', 'b')
      const response = await answer
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('application/json')
      expect(response.headers.get('x-chunked-output')).toBe('1')
      expectOpen(response)
      const reader = response.body!.getReader()
      const next = async () => Buffer.from((await reader.read()).value ?? []).toString()
      expect(await next()).toBe('{"Ref":"a","Err":""}\n{"Ref":"b","Err":""}\n')
      const third = next()
      call.push('c')
      expect(await third).toBe('{"Ref":"c","Err":""}\n')
      call.finish()
      expect((await reader.read()).done).toBe(true)
      expect(call.leaves).toBeGreaterThan(0)
      expect(counts).toEqual(['served'])
    },
  )

  test('a listing without lines is 200 and empty', async () => {
    const answer = askRefs()
    ;(await refs.next()).finish()
    const response = await answer
    expect([response.status, await response.text()]).toEqual([200, ''])
    expectOpen(response)
  })

  test('lines of a call that no backend has accepted are not sent', async () => {
    const answer = askRefs()
    const call = await refs.next()
    call.push('a')
    call.accepted = false
    expect(await Promise.race([answer, Promise.resolve('nothing')])).toBe('nothing')
    expect(call.reads).toBe(0)
  })

  test('it is read no faster than the client reads', async () => {
    const answer = askRefs()
    const call = await refs.next()
    call.push('a')
    const reader = (await answer).body!.getReader()
    await reader.read()
    const { reads } = call
    for (let i = 0; i < 100; i++) call.push(String(i))
    await new Promise((resolve) => setImmediate(resolve))
    expect(call.reads).toBe(reads)
    await reader.read()
    expect(call.reads).toBe(reads + 1)
  })

  const failures: [RefsFailure, number, number, boolean][] = [
    ['backend', 500, 0, false],
    ['no-backend', 503, 0, true],
    ['no-client', 504, 0, false],
    ['limit', 413, 0, false],
    ['timeout', 504, 0, false],
    ['draining', 503, 0, true],
  ]
  test.each(failures)(
    'a failure before the first line: %s is %d',
    async (reason, status, code, comesBack) => {
      for (const accepted of [false, true]) {
        const answer = askRefs()
        const call = await refs.next()
        if (accepted) call.accept()
        call.finish({ kind: 'failed', reason, message: 'in its words' })
        const response = await answer
        expect(Number(response.headers.get('retry-after')) > 0).toBe(comesBack)
        await expectKubo(response, status, 'in its words', code)
        expect(call.leaves).toBeGreaterThan(0)
      }
    },
  )

  test('a failure after it is a last line with the error', async () => {
    const answer = askRefs()
    const call = await refs.next()
    call.push('a')
    call.finish({ kind: 'failed', reason: 'backend', message: 'a "quoted" word' })
    const lines = (await (await answer).text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toEqual([
      { Ref: 'a', Err: '' },
      { Ref: '', Err: 'a "quoted" word' },
    ])
    expect(call.leaves).toBeGreaterThan(0)
  })

  const refusals: [RefsRefusal['refused'], number, number][] = [
    ['rate', 429, 3],
    ['calls-per-address', 429, 3],
    ['calls-total', 429, 3],
    ['draining', 503, 0],
    ['no-backend', 503, 0],
  ]
  test.each(refusals)('refused for %s: %d, and when to come back', async (refused, status, code) => {
    for (const [retryAfterMs, seconds] of [
      [0, '1'],
      [1, '1'],
      [1_001, '2'],
      [60_000, '60'],
    ] as const) {
      refs.refusal = { refused, retryAfterMs }
      const response = await askRefs()
      expect(response.headers.get('retry-after')).toBe(seconds)
      await expectKubo(response, status, ' ', code)
    }
  })

  test("the caller's time and options are passed on", async () => {
    const controller = new AbortController()
    const answer = askRefs(`arg=/ipfs/${cid}/a&u=1&timeout=90s`, { signal: controller.signal })
    const call = await refs.next()
    expect(call.request).toMatchObject({
      timeoutMs: 90_000,
      query: { arg: `/ipfs/${cid}/a`, recursive: false, unique: true },
    })
    controller.abort()
    await answer
  })

  test('a caller that is gone before its request was read begins nothing', async () => {
    const answer = await askRefs(undefined, { signal: AbortSignal.abort() })
    expect([answer.status, refs.calls.length, counts]).toEqual([499, 0, ['abandoned']])
  })

  test('a caller that goes away while it waits leaves', async () => {
    const controller = new AbortController()
    const answer = askRefs(undefined, { signal: controller.signal })
    const call = await refs.next()
    controller.abort()
    await call.left
    await answer
    expect(counts).toEqual(['abandoned'])
  })

  test('a caller that goes away while it reads leaves', async () => {
    const answer = askRefs()
    const call = await refs.next()
    call.push('a')
    await (await answer).body!.cancel()
    await call.left
  })

  test.each([
    ['', 'required'],
    [`arg=${cid}&arg=${cid}`, 'more than once'],
    ['arg=https://example.org/x', 'is a URL'],
    [`arg=/ipfs/${cid}/../../x`, '".."'],
    [`arg=${cid}&timeout=soon`, 'not a duration'],
  ])('400 for %s', async (query, why) => {
    await expectKubo(await askRefs(query), 400, why, 1)
    expect(refs.calls).toEqual([])
    expect(counts).toEqual(['bad-request'])
  })

  test('a query of 1 MiB is 414 before it is looked at', async () => {
    await expectKubo(await askRefs(`arg=${'a'.repeat(1024 * 1024)}`), 414, '8 KiB', 1)
    expect(refs.calls).toEqual([])
  })

  test.each(['HEAD', 'PUT', 'DELETE', 'PATCH'])('%s is 405 and does no work', async (method) => {
    const response = await askRefs(undefined, { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, POST, OPTIONS')
    expectOpen(response)
    expect([refs.calls, counts]).toEqual([[], ['bad-method']])
  })

  test('a body is thrown away, up to 16 KiB', async () => {
    const answer = askRefs(undefined, { method: 'POST', body: 'x'.repeat(16 * 1024) })
    ;(await refs.next()).finish()
    expect((await answer).status).toBe(200)
    const large = await askRefs(undefined, { method: 'POST', body: 'x'.repeat(16 * 1024 + 1) })
    await expectKubo(large, 413, '16 KiB', 0)
  })

  test('a body without an announced length is cut at 16 KiB, and the rest of it thrown away', async () => {
    const pulled = Promise.withResolvers<void>()
    let pieces = 0
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(1_024))
        if (++pieces < 1_000) return
        controller.close()
        pulled.resolve()
      },
    })
    const headers = { 'transfer-encoding': 'chunked' }
    await expectKubo(await askRefs(undefined, { method: 'POST', body, headers }), 413, '16 KiB', 0)
    await pulled.promise
    expect(refs.calls).toEqual([])
  })

  test('a bug is a plain 500 that pages can read, and is told to whoever logs', async () => {
    const errors: unknown[] = []
    const bug = new Error('10.0.0.1 s3cret')
    app = create({
      refs: {
        refs: () => {
          throw bug
        },
      },
      onError: (error, path) => errors.push([error, path]),
    })
    const response = await askRefs()
    expect(response.status).toBe(500)
    expect(await response.text()).not.toMatch(/10\.0|s3cret/)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(errors).toEqual([[bug, '/api/v0/refs']])
  })
})

describe('preflights', () => {
  const preflight = (headers: Record<string, string> = {}) =>
    ask(`/api/v0/refs?arg=${cid}`, {
      method: 'OPTIONS',
      headers: { origin: 'https://page.example', 'access-control-request-method': 'POST', ...headers },
    })

  test('any origin, GET and POST, for a day, without any work', async () => {
    const response = await preflight()
    expect(response.status).toBe(204)
    expectOpen(response)
    expect(response.headers.get('access-control-allow-methods')).toBe('GET,POST,OPTIONS')
    expect(response.headers.get('access-control-max-age')).toBe('86400')
    expect(response.headers.get('access-control-allow-private-network')).toBeNull()
    expect(refs.calls).toEqual([])
  })

  test('the headers that are asked for are allowed', async () => {
    const response = await preflight({ 'access-control-request-headers': 'x-ipfs, content-type' })
    expect(response.headers.get('access-control-allow-headers')).toBe('x-ipfs,content-type')
  })

  test('a public page may call a private address, where a browser asks', async () => {
    const response = await preflight({ 'access-control-request-private-network': 'true' })
    expect(response.headers.get('access-control-allow-private-network')).toBe('true')
  })
})
