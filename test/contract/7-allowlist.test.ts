import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Identify } from '@libp2p/identify'
import { type Bystander, startBystander } from '#test/support/bystander.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'

/** Contract 7: only allowlisted stream protocols and HTTP paths pass. */
const served = [
  '/ipfs/bitswap',
  '/ipfs/bitswap/1.0.0',
  '/ipfs/bitswap/1.1.0',
  '/ipfs/bitswap/1.2.0',
  '/ipfs/id/1.0.0',
  '/ipfs/ping/1.0.0',
]

let bystander: Bystander
let edge: EdgeProcess
let client: RawClient

beforeAll(async () => {
  bystander = await startBystander()
  edge = await startEdgeProcess({ backends: [bystander.backend.addr] })
  await edge.untilReady()
  client = await startRawClient(edge.tcp)
}, 30_000)

afterAll(async () => {
  await Promise.all([client?.stop(), bystander?.stop()])
  await edge?.stop()
})

describe('only what is allowed', () => {
  test('is advertised by identify', async () => {
    const { identify } = client.node.services as { identify: Identify }
    expect((await identify.identify(client.connection)).protocols.toSorted()).toEqual(served)
  })

  test('is named by the admin API', async () => {
    const response = await fetch(`${edge.admin}/api/v0/id`, { method: 'POST' })
    expect(((await response.json()) as { Protocols: string[] }).Protocols).toEqual(served)
  })

  test.each([
    '/ipfs/kad/1.0.0',
    '/ipfs/lan/kad/1.0.0',
    '/meshsub/1.1.0',
    '/floodsub/1.0.0',
    '/libp2p/circuit/relay/0.2.0/hop',
    '/libp2p/circuit/relay/0.2.0/stop',
    '/libp2p/circuit/relay/0.1.0',
    '/libp2p/autonat/1.0.0',
    '/libp2p/dcutr',
    '/libp2p/fetch/0.0.1',
    '/ipfs/id/push/1.0.0',
    '/ipfs/graphsync/2.0.0',
    '/ipfs/bitswap/1.3.0',
    '/ipfs/bitswap/1.2.0/',
    '/IPFS/bitswap/1.2.0',
    '/x/p2p-http',
  ])('and %s is refused', async (protocol) => {
    await expect(client.open(protocol)).rejects.toThrow(/protocol|negotiat/i)
    expect(client.connection.status).toBe('open')
  })

  test.each(served.slice(0, 4))('and %s is taken', async (protocol) => {
    const stream = await client.open(protocol)
    expect(stream.protocol).toBe(protocol)
    stream.abort(new Error('enough'))
  })

  test('refused protocols cost nobody anything', async () => {
    for (let i = 0; i < 50; i++) await client.open('/ipfs/kad/1.0.0').catch(() => {})
    await client.send({ wants: bystander.contentWants().slice(0, 3) })
    await client.until(({ blocks }) => blocks.size === 3)
  })

  test('refused protocols are counted', async () => {
    const before = (await edge.metrics()).refused('client')['unknown-protocol'] ?? 0
    await client.open('/ipfs/kad/1.0.0').catch(() => {})
    await edge.untilMetrics((metrics) => (metrics.refused('client')['unknown-protocol'] ?? 0) > before)
  })

  test('no RPC path is served to clients', async () => {
    for (const path of [
      '/api/v0/id',
      '/api/v0/shutdown',
      '/api/v0/config',
      '/api/v0/refs?arg=x',
      '/debug/vars',
    ]) {
      expect((await fetch(`${edge.web}${path}`, { method: 'POST' })).status).toBe(404)
    }
  })
})
