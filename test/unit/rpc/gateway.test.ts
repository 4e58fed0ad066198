import { expect, test } from 'bun:test'
import { gzipSync } from 'node:zlib'
import type { MultihashKey } from '#src/bitswap/cid.ts'
import { maxBlockBytes } from '#src/bitswap/protocol.ts'
import type { GatewayResult } from '#src/relay/ports.ts'
import { readByGateway } from '#src/rpc/gateway.ts'
import { toKey } from '#src/util/bytes.ts'
import { type Answer, serveUntilAfterEach, urlOfNobody } from '#test/support/http-server.ts'
import { rawCid, seededBlock } from '#test/support/seeded-content.ts'

const serve = serveUntilAfterEach()

const block = seededBlock(1, 1, 200_000)
const cid = rawCid(block)
const key = toKey(cid.multihash.bytes) as MultihashKey

async function read(answer: Answer, path = ''): Promise<GatewayResult> {
  const url = await serve(answer)
  return new Promise((resolve) => readByGateway(url + path)(key, resolve))
}

function sends(status: number, body: string | Uint8Array = '', headers: Record<string, string> = {}): Answer {
  return (_, response) => {
    response.writeHead(status, { 'content-length': body.length, ...headers })
    response.end(body)
  }
}

test('asks for the raw block, and only if the backend has it', async () => {
  const seen: unknown[] = []
  const result = await read((request, response) => {
    const { accept, 'cache-control': cacheControl } = request.headers
    seen.push(request.method, request.url, accept, cacheControl)
    sends(200, block)(request, response)
  }, '/base')
  expect(seen).toEqual([
    'GET',
    `/base/ipfs/${cid}?format=raw`,
    'application/vnd.ipld.raw',
    // boxo compares the whole header: with anything more in it, it would go and look for the block.
    'only-if-cached',
  ])
  expect(result).toEqual({ kind: 'found', bytes: block })
})

test('a block without an announced length is read as well', async () => {
  const result = await read((_, response) => {
    response.writeHead(200)
    response.write(block.subarray(0, 100_000))
    response.end(block.subarray(100_000))
  })
  expect(result).toEqual({ kind: 'found', bytes: block })
})

test.each([404, 410, 412, 451])('%i says that it is not there', async (status) => {
  expect(await read(sends(status, 'no'))).toEqual({ kind: 'absent' })
})

test.each([
  [500, 'status 500'],
  [429, 'status 429'],
  [504, 'status 504'],
  [206, 'status 206'],
])('%i is a refusal', async (status, words) => {
  expect(await read(sends(status, 'no'))).toMatchObject({
    kind: 'failed',
    fault: 'refused',
    reason: expect.stringContaining(words),
  })
})

test('a redirect is not followed, and says what to do', async () => {
  let followed = 0
  const elsewhere = await serve((request, response) => {
    followed++
    sends(200, block)(request, response)
  })
  expect(await read(sends(301, '', { location: `${elsewhere}/` }))).toMatchObject({
    kind: 'failed',
    fault: 'refused',
    reason: expect.stringContaining('IP address'),
  })
  expect(followed).toBe(0)
})

const huge = new Uint8Array(maxBlockBytes + 1)
test.each<[string, Answer]>([
  ['that says so', sends(200, huge)],
  [
    'that does not say so',
    (_, response) => {
      response.writeHead(200)
      response.end(huge)
    },
  ],
  ['that is packed', sends(200, gzipSync(huge), { 'content-encoding': 'gzip' })],
])('more than a block, %s, is a refusal', async (_, answer) => {
  expect(await read(answer)).toMatchObject({ kind: 'failed', fault: 'refused' })
})

test('half a block and a cut is a failure, not a block', async () => {
  const result = await read((_, response) => {
    response.writeHead(200, { 'content-length': block.length })
    response.write(block.subarray(0, 100_000))
    response.socket?.end()
  })
  expect(result).toMatchObject({ kind: 'failed', fault: 'unreachable' })
})

test('nobody there is a failure', async () => {
  const url = await urlOfNobody()
  const result = await new Promise<GatewayResult>((resolve) => readByGateway(url)(key, resolve))
  expect(result).toMatchObject({ kind: 'failed', fault: 'unreachable' })
})

test('a request that is abandoned is closed, and nothing is heard of it', async () => {
  const came = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const heard: GatewayResult[] = []
  const url = await serve((_, response) => {
    response.on('close', () => closed.resolve())
    response.writeHead(200, { 'content-length': block.length })
    response.write(block.subarray(0, 1_000))
    came.resolve()
  })
  const abandon = readByGateway(url)(key, (result) => heard.push(result))
  await came.promise
  abandon()
  await closed.promise
  await new Promise((resolve) => setImmediate(resolve))
  expect(heard).toEqual([])
})
