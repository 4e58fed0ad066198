import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { type Bystander, startBystander } from '#test/support/bystander.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'
import { framed } from '#test/support/raw-message.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 9: no client peer ID, CID or IP is a metric label or stands in a log line above debug. */
let bystander: Bystander
let edge: EdgeProcess
let client: RawClient
let outcome: number | string
let metricsText: string
let labels: Set<string>

/** Clients come from here, so that their address is nobody else's. */
const clientAddress = '127.0.0.9'
const absent = seededCid(5, 5, 5_000)
let present = ''

beforeAll(async () => {
  bystander = await startBystander()
  edge = await startEdgeProcess({
    backends: [bystander.backend.addr],
    env: { KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: '8', KITSUNE_DRAIN: '1s' },
  })
  await edge.untilReady()
  client = await startRawClient(edge.tcp, { localAddress: clientAddress })
  // Everything that is worth a line: wants found, missed and refused, bad frames, refused sockets, a lost
  // backend, a cut connection, a drain that is too short.
  const wants = bystander.contentWants().slice(0, 20)
  present = seededCid(77, 0, 50_000).toString()
  await client.send({ wants })
  await client.until(({ blocks }) => blocks.has(present))
  await client.want([absent], { sendDontHave: true })
  await client.until(({ dontHaves }) => dontHaves.size === 1)
  ;(await client.open()).send(framed(new Uint8Array(50).fill(0xff)))
  await client.send({ wants: [{ cid: Uint8Array.of(1, 2, 3) }] })
  await client.open('/ipfs/kad/1.0.0').catch(() => {})
  const port = Number(/\/tcp\/(\d+)/.exec(edge.tcp)?.[1])
  const sockets = Array.from({ length: 20 }, () =>
    connect({ port, host: '127.0.0.1', localAddress: clientAddress }).on('error', () => {}),
  )
  for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  await fetch(`${edge.web}/?peer=${client.node.peerId}&cid=${absent}`)
  await edge.untilMetrics((m) => {
    const refused = m.refused('client')
    return (refused.malformed ?? 0) > 0 && (refused['too-many-connections-per-address'] ?? 0) > 0
  })
  const metrics = await edge.metrics()
  metricsText = metrics.text
  labels = metrics.labels()
  await bystander.backend.stop()
  await edge.untilMetrics((m) => m.sum('kitsune_backend_lanes_up') === 0)
  await client.want([seededCid(5, 6, 5_000)])
  outcome = await edge.end('SIGTERM', 10_000)
  for (const socket of sockets) socket.destroy()
}, 60_000)

afterAll(async () => {
  await client?.stop()
  await bystander?.stop()
  await edge?.stop()
})

const named = (): string[] => [client.node.peerId.toString(), clientAddress, absent.toString(), present]

describe('nobody is named', () => {
  test('in the log, at the level that operators run', () => {
    expect(outcome).toBe(0)
    const text = edge.logs.map((line) => JSON.stringify(line)).join('\n') + edge.process.log()
    expect(text).toContain('Backend is not ready')
    expect(text).toContain('Draining')
    for (const name of named()) expect(text).not.toContain(name)
    expect(edge.logs.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('in the metrics', () => {
    for (const name of named()) expect(metricsText).not.toContain(name)
    // Every label is from a closed list or from the configuration; none looks like an identity.
    const configured = new Set([
      `backend=${bystander.backend.addr}`,
      'address=/ip4/127.0.0.1/tcp/0',
      'address=/ip4/127.0.0.1/tcp/0/ws',
    ])
    for (const label of labels) {
      if (configured.has(label)) continue
      expect(label).not.toMatch(/12D3Koo|Qm[1-9A-HJ-NP-Za-km-z]{44}|bafy|bafk|\d+\.\d+\.\d+\.\d+/)
    }
  })
})
