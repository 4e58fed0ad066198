import { expect, test } from 'bun:test'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { RefsQuery, RefsResult, RefsWork } from '#src/relay/preload/refs.ts'
import { type RefsByRpcOptions, refsByRpc } from '#src/rpc/refs.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import {
  chunk,
  chunkedHead,
  lastChunk,
  type RawBackend,
  refLine,
  startRawBackend,
  whole,
} from '#test/unit/rpc/raw-backend.ts'
import { untilSettled } from '#test/unit/rpc/settled.ts'

const keep = keepUntilAfterEach()
const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const query: RefsQuery = {
  arg: cid,
  root: {} as RefsQuery['root'],
  recursive: true,
  unique: false,
  edges: false,
  maxDepth: -1,
  format: '',
}

interface Run {
  readonly work: RefsWork
  readonly ended: Promise<RefsResult>
  readonly text: () => string
  /** How often the backend was said to have begun. */
  readonly begun: () => number
  /** Resolves when so many lines are in. */
  lines(count: number): Promise<void>
}

interface RunOptions extends RefsByRpcOptions {
  readonly query?: Partial<RefsQuery>
  readonly authorization?: string
  /** Says whether to go on after these lines. */
  readonly goesOn?: (lines: readonly Uint8Array[]) => boolean
}

function run(url: string, { goesOn = () => true, authorization, ...options }: RunOptions = {}): Run {
  const ended = Promise.withResolvers<RefsResult>()
  const waiting: { count: number; resolve: () => void }[] = []
  let text = ''
  let seen = 0
  let begun = 0
  const target = { url, ...(authorization !== undefined && { authorization }) }
  const work = refsByRpc(target, options)(
    { ...query, ...options.query },
    {
      lines: (lines) => {
        if (lines.length === 0) begun++
        text += lines.map((line) => Buffer.from(line).toString()).join('')
        seen += lines.length
        for (const { count, resolve } of waiting) if (seen >= count) resolve()
        return lines.length === 0 || goesOn(lines)
      },
      ended: ended.resolve,
    },
  )
  return {
    work,
    ended: ended.promise,
    text: () => text,
    begun: () => begun,
    lines: (count) =>
      new Promise((resolve) => {
        if (seen >= count) resolve()
        else waiting.push({ count, resolve })
      }),
  }
}

const backend = async (answer: (socket: Socket, request: string) => void): Promise<RawBackend> =>
  keep(await startRawBackend(answer))
const sends = (text: string) => backend((socket) => socket.write(text))
/** As a machine that dies: what was sent arrives, and then nothing more. */
const sendsAndDies = (text: string) => backend((socket) => socket.end(text))

test('lines come whole, however they are cut, and then it is done', async () => {
  const lines = refLine('a') + refLine('ü "quoted" \\') + refLine('c')
  const { url, requests } = await backend(async (socket) => {
    socket.write(chunkedHead)
    for (const byte of Buffer.from(lines)) socket.write(`1\r\n${String.fromCharCode(byte)}\r\n`, 'latin1')
    socket.write(lastChunk())
  })
  const { ended, text, begun } = run(url, { authorization: 'Bearer s3cret' })
  expect(await ended).toEqual({ kind: 'done' })
  expect(text()).toBe(lines)
  expect(begun()).toBe(1)
  expect(requests[0]).toStartWith(`POST /api/v0/refs?arg=${cid}&recursive=true&unique=false HTTP/1.1\r\n`)
  expect(requests[0]?.toLowerCase()).toContain('\r\nauthorization: bearer s3cret\r\n')
})

test('a listing without lines is done as well', async () => {
  const { url } = await sends(whole('200 OK', 'application/json', ''))
  const { ended, text } = run(url)
  expect([await ended, text()]).toEqual([{ kind: 'done' }, ''])
})

test('every option reaches the backend, written so that it means itself', async () => {
  const { url, requests } = await sends(chunkedHead + lastChunk())
  const more = {
    arg: `/ipfs/${cid}/a b&c=d`,
    recursive: true,
    unique: true,
    edges: true,
    maxDepth: 3,
    format: '<src> #',
  }
  expect(await run(url, { query: more }).ended).toEqual({ kind: 'done' })
  const line = requests[0]?.split(' ')[1] ?? ''
  expect([...new URL(line, url).searchParams]).toEqual([
    ['arg', `/ipfs/${cid}/a b&c=d`],
    ['recursive', 'true'],
    ['unique', 'true'],
    ['edges', 'true'],
    ['max-depth', '3'],
    ['format', '<src> #'],
  ])
})

test('200 and then an Err line is a failure, and what came before it is passed on', async () => {
  const bad = `${JSON.stringify({ Ref: '', Err: 'ipld: could not find bafy' })}\n`
  const { url, closed } = await sends(chunkedHead + chunk(refLine('a') + bad + refLine('b')))
  const { ended, text } = run(url)
  expect(await ended).toEqual({ kind: 'failed', message: 'ipld: could not find bafy' })
  expect(text()).toBe(refLine('a'))
  await closed
})

test('200 and then the trailer is a failure', async () => {
  const text = chunkedHead + chunk(refLine('a')) + lastChunk('X-Stream-Error: context deadline exceeded\r\n')
  const { url } = await sends(text)
  expect(await run(url).ended).toEqual({ kind: 'failed', message: 'context deadline exceeded' })
})

test("Kubo's error object in the middle is a failure", async () => {
  const text =
    chunkedHead + chunk(`${JSON.stringify({ Message: 'oh no', Code: 0, Type: 'error' })}\n`) + lastChunk()
  const { url } = await sends(text)
  expect(await run(url).ended).toEqual({ kind: 'failed', message: 'oh no' })
})

test.each([
  ['in the listing', chunkedHead + chunk(refLine('a'))],
  ['within a line', chunkedHead + chunk(refLine('a').slice(0, 5))],
  [
    'before the announced length',
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n${refLine('a')}`,
  ],
  ['before an answer', ''],
  ['within the head', 'HTTP/1.1 200 OK\r\nContent-Ty'],
])('cut off %s: the backend is lost', async (_, text) => {
  const { url } = await sendsAndDies(text)
  expect((await run(url).ended).kind).toBe('lost')
})

test('a reset in the listing: the backend is lost', async () => {
  const { url } = await backend((socket) => {
    socket.write(chunkedHead + chunk(refLine('a')))
    setImmediate(() => socket.resetAndDestroy())
  })
  expect((await run(url).ended).kind).toBe('lost')
})

test('an end that cannot be told from a cut is not believed', async () => {
  const { url } = await sendsAndDies(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n${refLine('a')}`,
  )
  const { ended, begun } = run(url)
  expect(await ended).toMatchObject({
    kind: 'lost',
    reason: expect.stringContaining('cannot be told from a cut'),
  })
  expect(begun()).toBe(0)
})

test('a whole answer that ends within a line is not believed', async () => {
  const { url } = await sends(chunkedHead + chunk(refLine('a').slice(0, -1)) + lastChunk())
  expect(await run(url).ended).toEqual({ kind: 'lost', reason: 'its answer ends within a line' })
})

const kuboError = (message: string) => JSON.stringify({ Message: message, Code: 0, Type: 'error' })

test.each([
  ['500', '500 Internal Server Error'],
  ['400', '400 Bad Request'],
])('an error of Kubo with %s is a failure in its words', async (_, status) => {
  const { url } = await sends(whole(status, 'application/json', kuboError('no link named "x" under Qm')))
  expect(await run(url).ended).toEqual({ kind: 'failed', message: 'no link named "x" under Qm' })
})

test('its words are fit for clients: one line, no secret, no address, 300 characters', async () => {
  const message = `failed at 10.1.2.3:4001\n/ip4/10.9.8.7/tcp/4001/p2p/12D3KooWA Bearer s3cret ${'x'.repeat(500)}`
  const { url } = await sends(whole('500 Internal Server Error', 'application/json', kuboError(message)))
  const result = await run(url, { authorization: 'Bearer s3cret' }).ended
  const words = result.kind === 'failed' ? result.message : ''
  expect(words).toStartWith('failed at [address] [address] Bearer [redacted] xxx')
  expect(words.length).toBeLessThanOrEqual(300)
  expect(words).not.toMatch(/10\.|s3cret|\n/)
})

test.each([
  ['401', whole('401 Unauthorized', 'text/plain', 'go away'), 'refuses us'],
  ['403', whole('403 Forbidden', 'application/json', kuboError('no')), 'refuses us'],
  ['404', whole('404 Not Found', 'text/plain', '404 page not found'), 'not a Kubo RPC'],
  ['404 in JSON', whole('404 Not Found', 'application/json', kuboError('x')), 'status 404'],
  ['a redirect', whole('302 Found', 'text/plain', '', 'Location: http://127.0.0.1:1/\r\n'), 'redirects'],
  ['HTML', whole('200 OK', 'text/html; charset=utf-8', '<h1>It works</h1>'), 'not a Kubo RPC'],
  ['an HTML error', whole('502 Bad Gateway', 'text/html', '<h1>Bad Gateway</h1>'), 'status 502'],
  ['a busy proxy', whole('503 Service Unavailable', 'text/plain', 'upstream 10.0.0.1'), 'status 503'],
  ['JSON that is no listing', chunkedHead + chunk('{"ID":"x"}\n') + lastChunk(), 'not a Kubo RPC'],
  ['no JSON', chunkedHead + chunk('hello\n') + lastChunk(), 'not a Kubo RPC'],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'cannot be reached'],
])('%s: the backend is lost, with a reason for logs', async (_, text, reason) => {
  const { url } = await sends(text)
  expect(await run(url).ended).toMatchObject({ kind: 'lost', reason: expect.stringContaining(reason) })
})

test.each(['context canceled', 'open /data/x: no space left on device', 'leveldb: input/output error'])(
  'a backend in trouble of its own is lost: %s',
  async (message) => {
    const { url } = await sends(chunkedHead + chunk(`${JSON.stringify({ Ref: '', Err: message })}\n`))
    expect((await run(url).ended).kind).toBe('lost')
  },
)

test('a link that is called like such a trouble makes nobody lose a backend', async () => {
  const message = 'no link named "context canceled" under QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'
  const { url } = await sends(whole('500 Internal Server Error', 'application/json', kuboError(message)))
  expect((await run(url).ended).kind).toBe('failed')
})

test('a reference that spells an error is no error', async () => {
  const tricky = refLine('","Err":"boom"}') + refLine('x","Err":"boom","Y":"')
  const { url } = await sends(chunkedHead + chunk(tricky) + lastChunk())
  const { ended, text } = run(url)
  expect([await ended, text()]).toEqual([{ kind: 'done' }, tricky])
})

test('an endless line is given up at 64 KiB, and is not the fault of the backend', async () => {
  let sent = 0
  const { url, closed } = await backend((socket) => {
    socket.write(chunkedHead)
    const pump = () => {
      while (!socket.destroyed && sent < 512 * 1024 * 1024) {
        sent += 65_536
        if (!socket.write(chunk('x'.repeat(65_536)))) {
          socket.once('drain', pump)
          return
        }
      }
    }
    pump()
  })
  expect(await run(url).ended).toMatchObject({ kind: 'failed', message: expect.stringContaining('64 KiB') })
  await closed
  expect(sent).toBeLessThan(64 * 1024 * 1024)
})

test('an endless error is given up', async () => {
  const head = 'HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n'
  const { url, closed } = await sends(head + chunk('x'.repeat(200_000)))
  expect((await run(url).ended).kind).toBe('lost')
  await closed
})

test('a pause holds the backend back, and nothing is missing after it', async () => {
  const line = refLine('x'.repeat(1_000))
  const count = 64_000
  let sent = 0
  const { url } = await backend((socket) => {
    socket.write(chunkedHead)
    const pump = () => {
      while (sent < count) {
        sent++
        if (!socket.write(chunk(line))) {
          socket.once('drain', pump)
          return
        }
      }
      socket.write(lastChunk())
    }
    pump()
  })
  let paused = true
  const { work, ended, lines, text } = run(url, { goesOn: () => !paused })
  await lines(1)
  await untilSettled(() => sent)
  // What fits into the buffers of two sockets, and no more.
  expect(sent).toBeLessThan(count / 2)
  paused = false
  work.resume()
  expect(await ended).toEqual({ kind: 'done' })
  expect(text().length).toBe(line.length * count)
})

test('an abort closes the connection, so that the backend stops, and is the last that is heard', async () => {
  const { url, closed } = await sends(chunkedHead + chunk(refLine('a')))
  const { work, ended, lines } = run(url)
  await lines(1)
  work.abort()
  work.abort()
  work.resume()
  await closed
  expect(await Promise.race([ended, Promise.resolve('nothing')])).toBe('nothing')
})

test('an abort before any answer closes the connection too', async () => {
  const asked = Promise.withResolvers<void>()
  const { url, closed } = await backend(() => asked.resolve())
  const { work } = run(url)
  await asked.promise
  work.abort()
  await closed
})

test('a sink that aborts while it is told lines hears nothing more', async () => {
  const { url, closed } = await sends(
    chunkedHead + chunk(`${refLine('a')}{"Ref":"","Err":"x"}\n`) + lastChunk(),
  )
  let over = 0
  const work = refsByRpc({ url })(query, {
    lines: (lines) => {
      if (lines.length > 0) work.abort()
      return true
    },
    ended: () => over++,
  })
  await closed
  expect(over).toBe(0)
})

test('nobody there is lost', async () => {
  const gone = await startRawBackend(() => {})
  await gone.stop()
  expect(await run(gone.url).ended).toMatchObject({
    kind: 'lost',
    reason: expect.stringContaining('cannot be reached'),
  })
})

test('a connection that does not come about is lost in time', async () => {
  // It accepts, and never answers the handshake of TLS.
  const { url } = await backend(() => {})
  const { ended } = run(url.replace('http:', 'https:'), { connectTimeoutMs: 100 })
  expect(await ended).toMatchObject({ kind: 'lost', reason: expect.stringContaining('in time') })
})

test('the sink is never called before the call has returned', async () => {
  let returned = false
  const calledMs: boolean[] = []
  const ended = Promise.withResolvers<RefsResult>()
  refsByRpc({ url: 'http://127.0.0.1:1', authorization: 'not\nallowed' })(query, {
    lines: () => true,
    ended: (result) => {
      calledMs.push(returned)
      ended.resolve(result)
    },
  })
  returned = true
  expect((await ended.promise).kind).toBe('lost')
  expect(calledMs).toEqual([true])
})

test('a whole HTTP server that streams slowly is waited for', async () => {
  const release = Promise.withResolvers<void>()
  const server = createServer(async (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', trailer: 'X-Stream-Error' })
    response.write(refLine('a'))
    await release.promise
    response.end(refLine('b'))
  })
  keep({ stop: () => new Promise((resolve) => server.close(resolve)) })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { ended, text, lines } = run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await lines(1)
  release.resolve()
  expect([await ended, text()]).toEqual([{ kind: 'done' }, refLine('a') + refLine('b')])
})
