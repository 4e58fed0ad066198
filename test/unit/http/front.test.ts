import { expect, test } from 'bun:test'
import { createFrontWeb } from '#src/http/front.ts'

const app = createFrontWeb()

test('healthz answers load checks on the front too', async () => {
  const response = await app.request('/healthz')
  expect([response.status, await response.text()]).toEqual([200, 'ok'])
})

test('the page says what this is and nothing about the inside', async () => {
  const response = await app.request('/')
  const page = await response.text()
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toStartWith('text/html')
  expect(response.headers.get('content-security-policy')).toBe("default-src 'none'")
  expect(page).toContain('Kitsune')
  expect(page).not.toMatch(/\d+\.\d+|backend|lane|12D3|Qm|bun|deno|hono/i)
})

test.each(['/metrics', '/readyz', '/backends', '/api/v0/id', '/api/v0/refs', '/index.html'])(
  'the admin API is not served at the front: %s is 404',
  async (path) => {
    expect((await app.request(path)).status).toBe(404)
    expect((await app.request(path, { method: 'POST' })).status).toBe(404)
  },
)

test('other methods are refused', async () => {
  expect((await app.request('/', { method: 'POST' })).status).toBe(405)
  expect((await app.request('/healthz', { method: 'HEAD' })).status).toBe(200)
})
