import { expect, test } from 'bun:test'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CID } from 'multiformats/cid'
import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import type { RefsRoot } from '#src/relay/preload/refs.ts'
import { keepByRpc } from '#src/rpc/keep.ts'
import { toKey } from '#src/util/bytes.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'

const keepRunning = keepUntilAfterEach()
const text = 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'
const cid = CID.parse(text)
const root: RefsRoot = {
  cid: toKey(cid.bytes) as CidKey,
  multihash: toKey(cid.multihash.bytes) as MultihashKey,
  codec: cid.code,
}

/** Serves an RPC and returns its URL and the calls that came. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const calls: string[] = []
  const server = createServer((request, response) => {
    calls.push(
      `${request.method} ${decodeURIComponent(request.url ?? '')} ${request.headers.authorization ?? ''}`,
    )
    answer(request, response)
  })
  keepRunning({
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}

const kubo = (status: number, body: object | '') => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(body === '' ? '' : JSON.stringify(body))
}
const says = (message: string) => kubo(500, { Message: message, Code: 0, Type: 'error' })

/** Resolves with what it is told in the end. */
function told(url: string, mode: 'true' | 'mfs', timeoutMs = 5_000): Promise<string | undefined> {
  return new Promise((resolve) => {
    keepByRpc({ url, authorization: 'Basic c2VjcmV0' }, mode, { timeoutMs })(root, resolve)
  })
}

test('true is a recursive pin', async () => {
  const { url, calls } = await serve(kubo(200, { Pins: [text] }))
  expect(await told(url, 'true')).toBeUndefined()
  expect(calls).toEqual([`POST /api/v0/pin/add?arg=${text}&recursive=true Basic c2VjcmV0`])
})

test('mfs is an entry in /kitsune, which is made when it is not there', async () => {
  const { url, calls } = await serve(kubo(200, ''))
  expect(await told(url, 'mfs')).toBeUndefined()
  expect(calls).toEqual([
    'POST /api/v0/files/mkdir?arg=/kitsune&parents=true Basic c2VjcmV0',
    `POST /api/v0/files/cp?arg=/ipfs/${text}&arg=/kitsune/${text} Basic c2VjcmV0`,
  ])
})

test('an entry that is there already is fine', async () => {
  const { url } = await serve((request, response) => {
    const isCopy = request.url?.includes('/files/cp') === true
    const there = says(
      `cp: cannot put node in path /kitsune/${text}: directory already has entry by that name`,
    )
    ;(isCopy ? there : kubo(200, ''))(request, response)
  })
  expect(await told(url, 'mfs')).toBeUndefined()
})

test('what is no UnixFS is reported', async () => {
  const { url } = await serve((request, response) => {
    const isCopy = request.url?.includes('/files/cp') === true
    ;(isCopy ? says('cp: source must be a valid UnixFS') : kubo(200, ''))(request, response)
  })
  expect(await told(url, 'mfs')).toContain('source must be a valid UnixFS')
})

test('a directory that cannot be made is reported, and nothing is copied', async () => {
  const { url, calls } = await serve(says('disk full; Basic c2VjcmV0'))
  const failure = await told(url, 'mfs')
  expect(failure).toContain('disk full')
  expect(failure).not.toContain('c2VjcmV0')
  expect(calls).toHaveLength(1)
})

test.each([
  ['refused', (_: IncomingMessage, response: ServerResponse) => response.writeHead(401).end(), 'refuses us'],
  ['hanging', () => {}, 'in time'],
  [
    'a web page',
    (_: IncomingMessage, response: ServerResponse) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>'),
    'not a Kubo RPC',
  ],
] as const)('%s: it says so', async (_, answer, why) => {
  const { url } = await serve(answer)
  expect(await told(url, 'true', 100)).toContain(why)
})

test('given up, it reports nothing and lets go of the backend', async () => {
  const asked = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const { url } = await serve((request) => {
    request.socket.once('close', () => gone.resolve())
    asked.resolve()
  })
  let reports = 0
  const giveUp = keepByRpc({ url }, 'true')(root, () => reports++)
  await asked.promise
  giveUp()
  giveUp()
  await gone.promise
  expect(reports).toBe(0)
})
