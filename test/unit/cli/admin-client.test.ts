import { afterEach, expect, test } from 'bun:test'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { askAdmin, readAdmin } from '#src/cli/admin-client.ts'
import { findRunningEdge } from '#src/cli/doctor/running-edge.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

async function serving(answer: RequestListener, host = '127.0.0.1') {
  const server = createServer(answer).listen(0, host)
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  return { host, port: (server.address() as AddressInfo).port }
}

test('who listens everywhere is asked at home', async () => {
  const { port } = await serving((request, response) => response.end(request.url), '0.0.0.0')
  expect(await askAdmin({ host: '0.0.0.0', port }, '/x')).toEqual({ status: 200, body: '/x' })
})

test.each([
  ['a page', '<html>', 200],
  ['a list', '[1]', 200],
  ['an error', '{"error":"no"}', 404],
])('%s is not the admin API', async (_, body, status) => {
  const at = await serving((_request, response) => response.writeHead(status).end(body))
  await expect(readAdmin(at, '/api/v0/id')).rejects.toThrow('not the admin API')
  expect(await findRunningEdge(at)).toContain('not the admin API')
})

test('an answer without end is given up, and so is one cut off', async () => {
  const endless = await serving((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(262_144))) {}
    }
    response.on('drain', more)
    more()
  })
  await expect(askAdmin(endless, '/')).rejects.toThrow('too long')
  const cut = await serving((_request, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('half')
    setTimeout(() => response.destroy(), 20)
  })
  await expect(askAdmin(cut, '/')).rejects.toThrow()
}, 20_000)

test('silence is given up in time', async () => {
  const silent = await serving(() => {})
  await expect(askAdmin(silent, '/')).rejects.toThrow('no answer in time')
}, 10_000)

test('what an edge says of itself', async () => {
  const answers: Record<string, string> = {
    '/api/v0/id': '{"ID":"12D3KooWA","Addresses":[]}',
    '/backends':
      '{"backends":[{"name":"http://a:5001","lanes":{"up":3,"configured":4}},{"name":"http://b:5001"}]}',
    '/metrics':
      'kitsune_door_open{address="/ip4/0.0.0.0/tcp/4001",transport="tcp"} 1\nkitsune_door_open{address="/ip4/0.0.0.0/udp/1/quic-v1",transport="quic-v1"} 0\n',
  }
  const at = await serving((request, response) => response.end(answers[request.url ?? '']))
  expect(await findRunningEdge(at)).toEqual({
    peerId: '12D3KooWA',
    doors: new Set(['/ip4/0.0.0.0/tcp/4001']),
    lanesUp: new Map([
      ['http://a:5001', 3],
      ['http://b:5001', 0],
    ]),
  })
  expect(await findRunningEdge(undefined)).toBe('KITSUNE_ADMIN_LISTEN is off')
})
