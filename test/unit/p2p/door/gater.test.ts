import { expect, test } from 'bun:test'
import type { MultiaddrConnection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { Gate, type GateOptions } from '#src/p2p/door/gater.ts'
import type { RefusalReason } from '#src/relay/counters.ts'

function gateWith(options: Partial<GateOptions> = {}) {
  const refusals: RefusalReason[] = []
  const limits = { maxConnections: 3, maxConnectionsPerAddress: 2, ...options }
  const gate = new Gate({ refused: (reason) => refusals.push(reason) }, limits)
  return { gate, refusals }
}

/** As much of a connection as the gate looks at. */
class FakeConnection extends EventTarget {
  readonly remoteAddr
  status = 'open'
  constructor(host: string) {
    super()
    this.remoteAddr = multiaddr(`/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp/1`)
  }
  close(): void {
    this.status = 'closed'
    this.dispatchEvent(new Event('close'))
  }
  asConnection(): MultiaddrConnection {
    return this as unknown as MultiaddrConnection
  }
}

/** Lets in a socket of `host` as a door does; undefined where it is refused. */
function letIn(gate: Gate, host: string): (() => void) | undefined {
  const leave = gate.enter()
  const uncount = leave && gate.countFor(host)
  if (leave === undefined || uncount !== undefined) return leave && (() => [leave(), uncount?.()])
  leave()
  return undefined
}

test('counts in all and per address, and gives both back', () => {
  const { gate, refusals } = gateWith()
  const leaves = ['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((host) => letIn(gate, host))
  expect(leaves.every((leave) => leave !== undefined)).toBe(true)
  expect([gate.open, gate.addresses]).toEqual([3, 2])
  for (const leave of leaves) leave?.()
  expect([gate.open, gate.addresses]).toEqual([0, 0])
  expect(refusals).toEqual([])
})

test('leaving twice is leaving once', () => {
  const { gate } = gateWith()
  const leave = letIn(gate, '192.0.2.1')
  letIn(gate, '192.0.2.1')
  leave?.()
  leave?.()
  expect([gate.open, gate.addresses]).toEqual([1, 1])
})

test('refuses beyond the limit for one address and says so', () => {
  const { gate, refusals } = gateWith()
  letIn(gate, '192.0.2.1')
  const second = letIn(gate, '192.0.2.1')
  expect(letIn(gate, '192.0.2.1')).toBeUndefined()
  expect(refusals).toEqual(['too-many-connections-per-address'])
  expect(letIn(gate, '192.0.2.2')).toBeDefined()
  second?.()
  expect(letIn(gate, '192.0.2.1')).toBeDefined()
})

test('one IPv6 /64 shares the limit of one address', () => {
  const { gate, refusals } = gateWith()
  letIn(gate, '2001:db8::1')
  letIn(gate, '2001:db8::2')
  expect(letIn(gate, '2001:db8::3')).toBeUndefined()
  expect(refusals).toEqual(['too-many-connections-per-address'])
})

test('refuses beyond the limit in all, whose they are known or not', () => {
  const { gate, refusals } = gateWith()
  for (let i = 0; i < 3; i++) expect(gate.enter()).toBeDefined()
  expect(gate.enter()).toBeUndefined()
  expect(refusals).toEqual(['too-many-connections'])
  expect([gate.open, gate.addresses]).toEqual([3, 0])
})

test('requests on one shared socket count for their addresses, not in all', () => {
  const { gate, refusals } = gateWith({ maxConnections: 1 })
  gate.enter()
  const leaves = ['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((host) => gate.countFor(host))
  expect([gate.open, gate.addresses]).toEqual([1, 2])
  expect(gate.countFor('192.0.2.1')).toBeUndefined()
  for (const leave of leaves) leave?.()
  expect([gate.open, gate.addresses]).toEqual([1, 0])
  expect(refusals).toEqual(['too-many-connections-per-address'])
})

test('a closed gate refuses everyone and keeps who is in', () => {
  const { gate, refusals } = gateWith()
  const leave = letIn(gate, '192.0.2.1')
  gate.close()
  expect(gate.closed).toBe(true)
  expect(letIn(gate, '192.0.2.2')).toBeUndefined()
  expect(refusals).toEqual(['draining'])
  expect(gate.open).toBe(1)
  leave?.()
  expect(gate.open).toBe(0)
})

test('a libp2p connection counts from the first question to its close', () => {
  const { gate } = gateWith()
  const gater = gate.connectionGater()
  const first = new FakeConnection('192.0.2.1')
  expect(gater.denyInboundConnection?.(first.asConnection())).toBe(false)
  expect(gate.open).toBe(1)
  first.close()
  expect([gate.open, gate.addresses]).toEqual([0, 0])
})

test('a libp2p connection over the limit for its address is turned away, and is in no count from then on', () => {
  const { gate, refusals } = gateWith({ maxConnectionsPerAddress: 1 })
  const gater = gate.connectionGater()
  const [first, second] = [new FakeConnection('192.0.2.1'), new FakeConnection('192.0.2.1')]
  expect(gater.denyInboundConnection?.(first.asConnection())).toBe(false)
  expect(gater.denyInboundConnection?.(second.asConnection())).toBe(true)
  expect(gate.open).toBe(1)
  second.close()
  first.close()
  expect([gate.open, gate.addresses]).toEqual([0, 0])
  expect(refusals).toEqual(['too-many-connections-per-address'])
})

test('a connection whose socket was counted is not counted again', () => {
  const { gate } = gateWith({ maxConnections: 1 })
  letIn(gate, '192.0.2.1')
  const connection = new FakeConnection('192.0.2.1').asConnection()
  gate.vouchFor(connection)
  expect(gate.connectionGater().denyInboundConnection?.(connection)).toBe(false)
  expect(gate.open).toBe(1)
})

test('a connection that is already closed is turned away uncounted', () => {
  const { gate, refusals } = gateWith()
  const connection = new FakeConnection('192.0.2.1')
  connection.close()
  expect(gate.connectionGater().denyInboundConnection?.(connection.asConnection())).toBe(true)
  expect([gate.open, refusals.length]).toEqual([0, 0])
})
