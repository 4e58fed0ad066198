import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRedirect } from '#src/http/redirect.ts'

let root = ''
let answer: (path: string, init?: RequestInit, host?: string) => Promise<Response>
let port = 443
const challenge = '/.well-known/acme-challenge/'

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'kitsune-acme-'))
  const tokens = join(root, 'webroot', challenge)
  await mkdir(join(tokens, 'directory'), { recursive: true })
  await writeFile(join(root, 'secret'), 'secret')
  await writeFile(join(tokens, 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA'), 'authorization')
  await writeFile(join(tokens, 'large'), Buffer.alloc(5_000))
  await symlink(join(root, 'secret'), join(tokens, 'link'))
  execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', join(tokens, 'pipe')])
  const redirect = createRedirect({ acmeWebroot: join(root, 'webroot'), httpsPort: () => port })
  answer = (path, init = {}, host = 'node0.test') =>
    redirect(new Request(`http://${host}${path}`, { ...init, headers: { host } }))
})
afterAll(() => rm(root, { recursive: true, force: true }))

test('a token is answered with its file, as it is', async () => {
  const response = await answer(`${challenge}evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA`)
  expect([response.status, await response.text()]).toEqual([200, 'authorization'])
})

test.each([
  'none',
  'directory',
  'large',
  'link',
  'pipe',
  '',
  'directory/',
  '..%2f..%2f..%2fsecret',
  '%2e%2e/%2e%2e/%2e%2e/secret',
  '..\\..\\secret',
  'a%00b',
  `${'a'.repeat(300)}`,
])('a token %p is answered 404, or is somewhere else', async (token) => {
  const response = await answer(`${challenge}${token}`)
  expect([404, 308]).toContain(response.status)
  expect(await response.text()).not.toContain('secret')
})

test('health is told, as on every port', async () => {
  const response = await answer('/healthz')
  expect([response.status, await response.text()]).toEqual([200, 'ok'])
})

describe('anything else', () => {
  test.each([
    ['/', 443, 'node0.test', 'https://node0.test/'],
    ['/api/v0/id?x=1&y=%20', 443, 'node0.test:80', 'https://node0.test/api/v0/id?x=1&y=%20'],
    ['/a', 8443, 'node0.test:8080', 'https://node0.test:8443/a'],
    ['/a', 8443, '[2001:db8::1]:80', 'https://[2001:db8::1]:8443/a'],
    ['//evil.test/', 443, 'node0.test', 'https://node0.test//evil.test/'],
  ])('%s with https on %p, asked of %s, goes to %s', async (path, https, host, location) => {
    port = https
    const response = await answer(path, {}, host)
    expect([response.status, response.headers.get('location')]).toEqual([308, location])
  })

  test('keeps its method, whatever that is', async () => {
    port = 443
    for (const path of ['/api/v0/refs', '/healthz', `${challenge}large`]) {
      const response = await answer(path, { method: 'POST', body: 'x' })
      expect(response.status).toBe(308)
    }
  })

  test('of nobody has nowhere to go', async () => {
    const redirect = createRedirect({ httpsPort: () => 443 })
    expect((await redirect(new Request('http://localhost/'))).status).toBe(400)
  })

  test('are tokens too, where there is no webroot', async () => {
    const redirect = createRedirect({ httpsPort: () => 443 })
    const request = new Request(`http://a.test${challenge}x`, { headers: { host: 'a.test' } })
    expect((await redirect(request)).status).toBe(308)
  })
})
