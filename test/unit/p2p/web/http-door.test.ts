import { afterEach, expect, test } from 'bun:test'
import { multiaddr } from '@multiformats/multiaddr'
import { createRedirect } from '#src/http/redirect.ts'
import { trustIn } from '#src/p2p/door/client-address.ts'
import { Gate } from '#src/p2p/door/gater.ts'
import { HttpDoor, type HttpDoorOptions } from '#src/p2p/web/http-door.ts'
import type { RefusalReason } from '#src/relay/counters.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { rawSocket, upgradeRequest } from '#test/unit/p2p/web-under-test.ts'

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** A port of plain HTTP, as it stands beside a wss door. */
async function open(options: HttpDoorOptions = {}) {
  const refusals: RefusalReason[] = []
  const gate = new Gate(
    { refused: (reason) => refusals.push(reason) },
    { maxConnections: 100, maxConnectionsPerAddress: 20 },
  )
  const handleRequest = createRedirect({ httpsPort: () => 443 })
  const door = new HttpDoor({ gate, trusts: trustIn(['127.0.0.1/32']), handleRequest }, options)
  await door.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
  stops.push(() => door.close())
  return { gate, refusals, port: Number(door.getAddrs()[0]?.getComponents()[1]?.value) }
}

function raw(port: number, from?: string) {
  const opened = rawSocket(port, from)
  stops.push(opened.stop)
  return opened
}

test('whoever asks for a WebSocket is redirected like everybody else', async () => {
  const { port } = await open()
  const client = raw(port)
  client.socket.write(upgradeRequest())
  await until(() => client.received().includes('\r\n\r\n'))
  expect(client.received()).toStartWith('HTTP/1.1 308')
  expect(client.received().toLowerCase()).toContain('location: https://x/')
})

test('a PROXY header is taken off where it is due', async () => {
  const { port } = await open({ proxyProtocol: true })
  const client = raw(port)
  client.socket.write('PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => client.received().endsWith('ok'))
})

test('a flood of slow requests fills its own share, has a time limit, and leaves others theirs', async () => {
  const { port, gate, refusals } = await open({ turns: { headMs: 500 } })
  const flood = Array.from({ length: 100 }, () => raw(port, '127.0.0.2'))
  for (const { socket } of flood) socket.write('GET / HTTP/1.1\r\n')
  await until(() => refusals.length === 80)
  const other = raw(port, '127.0.0.3')
  other.socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await other.closed
  expect(other.received()).toEndWith('ok')
  await Promise.all(flood.map(({ closed }) => closed))
  await until(() => gate.open === 0 && gate.addresses === 0)
  expect(new Set(refusals)).toEqual(new Set(['too-many-connections-per-address']))
})
