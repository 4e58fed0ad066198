import { expect, test } from 'bun:test'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { KuboRpc, type KuboRpcOptions } from '#src/rpc/kubo.ts'
import { KitsuneError } from '#src/util/errors.ts'
import { type Answer, serveUntilAfterEach, urlOfNobody } from '#test/support/http-server.ts'

const serve = serveUntilAfterEach()

async function rpc(answer: Answer, more: Partial<KuboRpcOptions> = {}): Promise<KuboRpc> {
  return new KuboRpc({ url: await serve(answer), idTimeoutMs: 2_000, ...more })
}

function sends(status: number, type: string, body: string | Uint8Array) {
  return (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { 'content-type': type })
    response.end(body)
  }
}

const kuboError = (message: string) =>
  sends(500, 'application/json', JSON.stringify({ Message: message, Code: 0, Type: 'error' }))

async function idFault(client: KuboRpc): Promise<KitsuneError> {
  const error = await client.id().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(KitsuneError)
  return error as KitsuneError
}

const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const limits = { timeoutMs: 5_000, maxBytes: 2 * 1024 * 1024 }

test('id: POSTs with the authorization and returns who answers', async () => {
  const seen: unknown[] = []
  const client = await rpc(
    (request, response) => {
      seen.push(request.method, request.url, request.headers.authorization)
      const identity = {
        ID: '12D3KooWA',
        PublicKey: 'CAES',
        Addresses: ['/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWA', 7],
        AgentVersion: 'kubo/0.38.0',
        Protocols: ['/ipfs/bitswap/1.2.0'],
      }
      sends(200, 'application/json', JSON.stringify(identity))(request, response)
    },
    { authorization: 'Bearer s3cret' },
  )
  expect(await client.id()).toEqual({
    id: '12D3KooWA',
    addresses: ['/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWA'],
    agentVersion: 'kubo/0.38.0',
    protocols: ['/ipfs/bitswap/1.2.0'],
  })
  expect(seen).toEqual(['POST', '/api/v0/id', 'Bearer s3cret'])
})

test('id: null lists, as Kubo sends them while it starts, are empty', async () => {
  const client = await rpc(
    sends(200, 'application/json', '{"ID":"12D3KooWA","Addresses":null,"Protocols":null}'),
  )
  expect(await client.id()).toEqual({ id: '12D3KooWA', addresses: [], agentVersion: '', protocols: [] })
})

test.each([
  ['HTML', sends(200, 'text/html; charset=utf-8', '<h1>It works</h1>'), 'rpc-not-kubo'],
  ['HTML of a proxy that cannot reach it', sends(502, 'text/html', '<h1>Bad Gateway</h1>'), 'rpc-failed'],
  ['garbage in place of JSON', sends(200, 'application/json', '{"ID": "12D3'), 'rpc-not-kubo'],
  ['JSON without an ID', sends(200, 'application/json', '["ID"]'), 'rpc-not-kubo'],
  ['JSON null', sends(200, 'application/json', 'null'), 'rpc-not-kubo'],
  ['an empty body', sends(200, 'application/json', ''), 'rpc-not-kubo'],
  ['404', sends(404, 'text/plain', '404 page not found'), 'rpc-not-kubo'],
  ['405', sends(405, 'text/plain', '405 - Method Not Allowed'), 'rpc-not-kubo'],
  ['401', sends(401, 'text/plain', ''), 'rpc-unauthorized'],
  ['403', sends(403, 'text/plain', '403 - Forbidden'), 'rpc-unauthorized'],
  ['an error of Kubo', kuboError('lock is held'), 'rpc-failed'],
])('id: %s is a clear error', async (_, answer, code) => {
  const error = await idFault(await rpc(answer, { authorization: 'Bearer s3cret' }))
  expect(error.code).toBe(code)
  expect(error.side).toBe('backend')
  expect(error.facts.url).toStartWith('http://127.0.0.1:')
})

test('a redirect is not followed, and the secret goes nowhere else', async () => {
  let followed = 0
  const elsewhere = await serve((request, response) => {
    followed++
    sends(200, 'application/json', '{"ID":"evil"}')(request, response)
  })
  const client = await rpc(
    (_, response) => {
      response.writeHead(307, { location: `${elsewhere}/api/v0/id` })
      response.end()
    },
    { authorization: 'Bearer s3cret' },
  )
  expect((await idFault(client)).code).toBe('rpc-redirect')
  expect(await client.blockGet(cid, limits)).toEqual({ kind: 'error', reason: 'redirect' })
  expect(followed).toBe(0)
})

test('a hang before or within the answer ends in time', async () => {
  const silent = await rpc(() => {}, { idTimeoutMs: 50 })
  expect((await idFault(silent)).code).toBe('rpc-timeout')
  const halfway = await rpc(
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"ID":')
    },
    { idTimeoutMs: 200 },
  )
  expect((await idFault(halfway)).code).toBe('rpc-timeout')
})

test('nobody there is unreachable', async () => {
  const url = await urlOfNobody()
  const client = new KuboRpc({ url })
  expect((await idFault(client)).code).toBe('rpc-unreachable')
  expect(await client.blockGet(cid, limits)).toEqual({ kind: 'error', reason: 'unreachable' })
})

test('an endless body is read no further than its limit', async () => {
  let sent = 0
  const gone = Promise.withResolvers<void>()
  const endless = (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const chunk = Buffer.alloc(64 * 1024, 0x20)
    const pump = () => {
      while (!response.destroyed && sent < 512 * 1024 * 1024) {
        sent += chunk.length
        if (!response.write(chunk)) {
          response.once('drain', pump)
          return
        }
      }
    }
    response.once('close', gone.resolve)
    pump()
  }
  expect((await idFault(await rpc(endless))).code).toBe('rpc-too-big')
  await gone.promise
  // 1 MiB is the limit; the rest is what sockets and streams hold between the two sides.
  expect(sent).toBeLessThan(64 * 1024 * 1024)
})

test('block/get: a block comes back as it was sent', async () => {
  let url = ''
  const block = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251)
  const client = await rpc((request, response) => {
    url = request.url ?? ''
    sends(200, 'text/plain', block)(request, response)
  })
  const answer = await client.blockGet(cid, { ...limits, timeoutMs: 30_000 })
  expect(answer).toEqual({ kind: 'found', bytes: block })
  expect(url).toBe(`/api/v0/block/get?arg=${cid}&timeout=30000ms`)
})

test('block/get: a block over the limit is an error, announced or not', async () => {
  const block = new Uint8Array(100)
  const announced = await rpc((_, response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.end(block)
  })
  const small = { timeoutMs: 5_000, maxBytes: 99 }
  expect(await announced.blockGet(cid, small)).toEqual({ kind: 'error', reason: 'too-big' })
  expect(await announced.blockGet(cid, { ...small, maxBytes: 100 })).toEqual({ kind: 'found', bytes: block })
  const huge = await rpc(sends(200, 'text/plain', new Uint8Array(3 * 1024 * 1024)))
  expect(await huge.blockGet(cid, limits)).toEqual({ kind: 'error', reason: 'too-big' })
})

test.each([
  'block was not found locally (offline): ipld: could not find Qmfoo',
  'ipld: could not find bafyfoo',
  'context deadline exceeded',
])('block/get: "%s" is not-found', async (message) => {
  expect(await (await rpc(kuboError(message))).blockGet(cid, limits)).toEqual({ kind: 'not-found' })
})

test('block/get: other errors keep what Kubo said, without the secret and cut to a line', async () => {
  const client = await rpc(kuboError(`no leech: Bearer s3cret ${'x'.repeat(5_000)}`), {
    authorization: 'Bearer s3cret',
  })
  const answer = await client.blockGet(cid, limits)
  expect(answer).toMatchObject({ kind: 'error', reason: 'failed' })
  const detail = 'detail' in answer ? (answer.detail ?? '') : ''
  expect(detail).toStartWith('no leech: Bearer [redacted] xxx')
  expect(detail.length).toBe(300)
})

test('block/get: HTML is never taken for a block', async () => {
  const client = await rpc(sends(200, 'text/html', '<h1>login</h1>'))
  expect(await client.blockGet(cid, limits)).toEqual({ kind: 'error', reason: 'not-kubo' })
})

test('block/get: an abort ends it at once, before or during', async () => {
  const arrived = Promise.withResolvers<void>()
  const client = await rpc(() => arrived.resolve())
  const controller = new AbortController()
  const answer = client.blockGet(cid, { ...limits, signal: controller.signal })
  await arrived.promise
  controller.abort()
  expect(await answer).toEqual({ kind: 'error', reason: 'aborted' })
  expect(await client.blockGet(cid, { ...limits, signal: controller.signal })).toEqual({
    kind: 'error',
    reason: 'aborted',
  })
})

test('credentials never show: not in the URL, not in errors', async () => {
  const client = new KuboRpc({
    url: 'http://user:s3cret@rpc.example:5001/base/',
    authorization: 'Basic dXNlcjpzM2NyZXQ=',
    fetch: async () => {
      throw new TypeError('fetch failed')
    },
  })
  expect(client.url).toBe('http://rpc.example:5001/base')
  const error = await idFault(client)
  const shown = JSON.stringify([error, error.message, error.facts, String(error.cause), Bun.inspect(client)])
  expect(shown).not.toContain('s3cret')
  expect(shown).not.toContain('dXNlcjpzM2NyZXQ=')
})
