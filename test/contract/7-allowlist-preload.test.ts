import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { request } from 'node:http'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { type AskingBackend, startAskingBackend } from '#test/support/asking-backend.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { refs } from '#test/support/refs-call.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 7 for HTTP: only allowlisted RPC paths reach a backend, and of those only what was understood. */
let backend: AskingBackend
let edge: EdgeProcess

const cid = seededCid(600, 1, 10)

beforeAll(async () => {
  backend = await startAskingBackend((asked) => asked.end())
  edge = await startEdgeProcess({ backends: [backend.rpc] })
  await edge.untilReady()
}, 30_000)

afterAll(async () => {
  await edge?.stop()
  await backend?.stop()
})

/** Asks for a path as it is written: fetch() would tidy it. */
const ask = (path: string, method = 'POST'): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(edge.web)
    const asked = request({ hostname, port, path, method, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.setTimeout(10_000, () => asked.destroy(new Error(`no answer to ${path}`)))
    asked.end()
  })

async function expectUntouched(act: () => Promise<unknown>): Promise<void> {
  const before = [...backend.paths]
  await act()
  expect(backend.paths).toEqual(before)
}

describe('a path that is not allowed', () => {
  const commands = ['id', 'config/show', 'shutdown', 'add', 'cat', 'block/get', 'block/stat', 'block/put']
  const more = [
    'pin/add',
    'files/ls',
    'files/rm',
    'key/list',
    'swarm/peers',
    'repo/gc',
    'refs/local',
    'resolve',
  ]
  const late = ['dht/findprovs', 'dag/import', 'log/level', 'diag/profile', 'commands', 'p2p/listen', 'mount']
  test.each([...commands, ...more, ...late].map((command) => [`/api/v0/${command}?arg=${cid}`]))(
    '%s is 404',
    (path) =>
      expectUntouched(async () => {
        expect((await ask(path)).status).toBe(404)
        expect((await ask(path, 'GET')).status).toBe(404)
      }),
  )

  const spellings = [
    '/api/v0/refs/local',
    '/api/v0/refs%2flocal',
    '/api/v0/refs/../id',
    '/api/v0/refs/%2e%2e/id',
    '/api/v0/refs/..%2fid',
    '/api/v0//id',
    '//api/v0/id',
    '/api/v0/id/',
    '/api/v0/id?arg=refs',
    '/api/v0/./id',
    '/API/V0/ID',
    '/api/v1/refs',
    '/api/v0/refs;/id',
    '/api/v0/refs%00',
    '/api/v0/refs%0d%0aX:%20y',
    `/ipfs/${cid}`,
    `/routing/v1/providers/${cid}`,
    '/debug/pprof/heap',
    '/webui',
    '*',
    'http://127.0.0.1:5001/api/v0/id',
  ]
  test.each(spellings.map((path) => [path]))('%s does not get through', (path) =>
    expectUntouched(async () => {
      expect((await ask(path)).status).toBeGreaterThanOrEqual(400)
    }),
  )

  test.each(['PUT', 'DELETE', 'PATCH', 'HEAD', 'PROPFIND'])('%s is no method for refs', (method) =>
    expectUntouched(async () => {
      expect((await ask(`/api/v0/refs?arg=${cid}&r=true`, method)).status).toBe(405)
    }),
  )
})

describe('what refs passes on', () => {
  test('is what it understood, in its own spelling, and nothing of the caller', async () => {
    const query = `recursive=1&arg=${cid}&offline=true&api=x&unique=true&max-depth=7&progress=%22%0a&encoding=xml`
    const answer = await refs({
      web: edge.web,
      query,
      headers: {
        authorization: 'Bearer mine',
        cookie: 'a=b',
        origin: 'https://app.example',
        referer: 'https://app.example/x',
        'user-agent': 'an app',
        'x-forwarded-for': '10.9.8.7',
        'x-secret': 'mine',
      },
    })
    expect(answer.status).toBe(200)
    const { url, headers } = backend.refs.at(-1) ?? { url: '', headers: {} }
    const passed = new URL(url, 'http://backend').searchParams
    const known = ['arg', 'recursive', 'unique', 'edges', 'max-depth', 'format', 'timeout', 'stream-channels']
    expect([...passed.keys()].filter((name) => !known.includes(name))).toEqual([])
    expect(passed.get('arg')).toBe(cid.toString())
    expect(passed.get('max-depth')).toBe('7')
    expect(JSON.stringify(headers)).not.toMatch(/mine|app\.example|an app|10\.9\.8\.7|a=b/)
  })

  const digest = createDigest(0x12, new Uint8Array(32))
  const identity = (bytes: number) => CID.createV1(0x55, createDigest(0, new Uint8Array(bytes).fill(65)))
  const bad: [string, string][] = [
    ['nothing', 'r=true'],
    ['an empty argument', 'arg=&r=true'],
    ['no CID', 'arg=hello&r=true'],
    ['a URL', `arg=${encodeURIComponent('http://127.0.0.1:5001/api/v0/shutdown')}&r=true`],
    ['a gateway URL', `arg=${encodeURIComponent(`https://ipfs.io/ipfs/${cid}`)}&r=true`],
    ['a path that climbs', `arg=${encodeURIComponent(`/ipfs/${cid}/../../x`)}&r=true`],
    ['a path with an encoded climb', `arg=/ipfs/${cid}/%2e%2e/x&r=true`],
    ['an IPNS name', 'arg=/ipns/example.com&r=true'],
    ['another namespace', `arg=/ipld/${cid}&r=true`],
    ['a null byte', `arg=${cid}%00&r=true`],
    ['a line feed', `arg=${cid}%0aX-Header:%20y&r=true`],
    ['two arguments', `arg=${cid}&arg=${cid}&r=true`],
    ['a long path', `arg=/ipfs/${cid}/${'a'.repeat(5_000)}&r=true`],
    ['a long CID', `arg=${CID.createV1(0x55, createDigest(0x13, new Uint8Array(300)))}&r=true`],
    ['a huge identity CID', `arg=${identity(4_000)}&r=true`],
    ['an unknown hash', `arg=${CID.createV1(0x55, createDigest(0x7777, new Uint8Array(32)))}&r=true`],
    [
      'a digest that can be forged',
      `arg=${CID.createV1(0x55, createDigest(0x12, new Uint8Array(4)))}&r=true`,
    ],
    ['a depth that is no number', `arg=${CID.createV1(0x70, digest)}&r=true&max-depth=lots`],
    ['a time that is none', `arg=${CID.createV1(0x70, digest)}&r=true&timeout=soon`],
    ['a flag that is none', `arg=${CID.createV1(0x70, digest)}&r=perhaps`],
  ]
  test.each(bad)('is not %s', (_, query) =>
    expectUntouched(async () => {
      const answer = await refs({ web: edge.web, query })
      expect([400, 414, 431]).toContain(answer.status)
      expect(answer.headers['access-control-allow-origin']).toBe('*')
    }),
  )

  test('is not a query of a mebibyte', () =>
    expectUntouched(async () => {
      const query = `arg=${cid}&r=true&x=${'y'.repeat(1024 * 1024)}`
      // Refused with a status, or cut off while it was sent.
      const answer = await refs({ web: edge.web, query }).catch(() => undefined)
      if (answer !== undefined) expect([400, 413, 414, 431]).toContain(answer.status)
      expect((await refs({ web: edge.web, query: 'r=true' })).status).toBe(400)
    }))
})

describe('the delegates preset', () => {
  let delegating: EdgeProcess

  beforeAll(async () => {
    delegating = await startEdgeProcess({ backends: [backend.rpc], env: { KITSUNE_RPC_ALLOW: 'delegates' } })
    await delegating.untilReady()
  }, 30_000)
  afterAll(() => delegating?.stop())

  test('forwards what it names, without a word of the caller', async () => {
    const before = [backend.paths.length, backend.refs.length] as const
    await fetch(`${delegating.web}/api/v0/block/stat?arg=${cid}&offline=true`, {
      method: 'POST',
      headers: { authorization: 'Bearer mine' },
    })
    // It is fetched from the caller first, as `refs` does.
    expect(backend.paths.slice(before[0])).toEqual([
      expect.stringContaining(`/api/v0/refs?arg=${cid}&recursive=false`),
      expect.stringMatching(new RegExp(`^/api/v0/block/stat\\?arg=${cid}(&timeout=\\d+ms)?$`)),
    ])
    expect(backend.refs.length - before[1]).toBe(1)
    expect(JSON.stringify(backend.refs.at(-1)?.headers)).not.toContain('mine')
  })

  test.each(['block/get', 'block/rm', 'id', 'config/show', 'dht/../id', 'pin/ls', 'name/publish'])(
    'does not forward %s',
    async (command) => {
      const before = [...backend.paths]
      const response = await fetch(`${delegating.web}/api/v0/${command}?arg=${cid}`, { method: 'POST' })
      expect(response.status).toBe(404)
      expect(backend.paths).toEqual(before)
    },
  )
})
