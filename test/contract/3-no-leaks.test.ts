import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { inspect } from 'node:util'
import type { Identify } from '@libp2p/identify'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'
import { type RogueBackend, startRogueBackend } from '#test/support/rogue-backend.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 3: a client sees no other client, no backend address, no lane identity. */
let rogue: RogueBackend
let edge: EdgeProcess
let announcing: EdgeProcess
let other: RawClient
let client: RawClient

const announced = '/dns4/node0.example.net/tcp/443/wss'

beforeAll(async () => {
  rogue = await startRogueBackend({
    async answer(wants, answer) {
      await answer.send({ dontHaves: wants.filter(({ cancel }) => !cancel).map(({ cid }) => cid.bytes) })
    },
  })
  const backends = [rogue.addr]
  ;[edge, announcing] = await Promise.all([
    startEdgeProcess({ backends }),
    startEdgeProcess({ backends, env: { KITSUNE_ANNOUNCE: announced } }),
  ])
  await Promise.all([edge.untilReady(), announcing.untilReady()])
  other = await startRawClient(edge.tcp)
  client = await startRawClient(edge.ws)
  // Both are known to the edge as Bitswap peers, and every lane has spoken to the backend.
  for (const each of [other, client]) {
    await each.want(
      Array.from({ length: 64 }, (_, i) => seededCid(1, i, 100)),
      { sendDontHave: true },
    )
    await each.until(({ dontHaves }) => dontHaves.size === 64)
  }
}, 30_000)

afterAll(async () => {
  await Promise.all([edge, announcing, other, client].map((each) => each?.stop()))
  await rogue?.stop()
})

const identify = (who: RawClient) =>
  (who.node.services as { identify: Identify }).identify.identify(who.connection)

/** All that must not be seen by `client`. */
const secrets = (): string[] => [
  rogue.peerId,
  ...rogue.lanes,
  other.node.peerId.toString(),
  new URL(edge.admin).port,
  rogue.addr.split('/')[4] ?? '',
]

function expectNoSecretIn(text: string): void {
  for (const secret of secrets()) expect(text).not.toContain(secret)
}

describe('what a client may know', () => {
  test('the backend has seen every lane', () => {
    expect(rogue.lanes.size).toBeGreaterThanOrEqual(4)
    expect(secrets().every((secret) => secret.length > 3)).toBe(true)
  })

  test('identify tells no private address, and nobody else', async () => {
    const { connection: _own, ...told } = await identify(client)
    const { listenAddrs, agentVersion, signedPeerRecord } = told
    expect(listenAddrs.map(String)).toEqual([])
    expect(agentVersion).toMatch(/^kitsune\/\d+\.\d+\.\d+/)
    expect(signedPeerRecord?.addresses.map(String) ?? []).toEqual([])
    expectNoSecretIn(inspect(told, { depth: 10 }))
  })

  test('identify tells what is announced and nothing else', async () => {
    const someone = await startRawClient(announcing.tcp)
    try {
      const { listenAddrs, signedPeerRecord } = await identify(someone)
      expect(listenAddrs.map(String)).toEqual([announced])
      expect(signedPeerRecord?.addresses.map(String)).toEqual([announced])
    } finally {
      await someone.stop()
    }
  })

  test('the edge wants nothing of a client and speaks Bitswap alone to it', () => {
    expect(client.received.wants).toBe(0)
    expect([...client.received.protocols]).toEqual(['/ipfs/bitswap/1.2.0'])
  })

  test.each([
    ['GET', '/'],
    ['GET', '/healthz'],
    ['GET', '/metrics'],
    ['GET', '/readyz'],
    ['GET', '/backends'],
    ['POST', '/api/v0/id'],
    ['GET', '/api/v0/swarm/peers'],
    ['GET', '/%00%ff'],
    ['DELETE', '/'],
  ])('the web port answers %s %s without a word about the inside', async (method, path) => {
    const response = await fetch(`${edge.web}${path}`, { method })
    const headers = JSON.stringify([...response.headers])
    expectNoSecretIn(`${headers} ${await response.text()}`)
    expect(headers).not.toMatch(/server|x-powered-by|kitsune\/|bun|hono/i)
    if (!['/', '/healthz'].includes(path)) expect(response.status).toBe(404)
  })

  test('a refused upgrade says nothing about the inside', async () => {
    const response = await fetch(`${edge.web}/`, {
      headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '1' },
    })
    expectNoSecretIn(`${JSON.stringify([...response.headers])} ${await response.text()}`)
  })
})
