/**
 * A load generator on js-libp2p, for doors that Go does not dial: what `load` of test/peers/go does with the flags of the
 * bench, and the same lines on stdout. It takes more CPU per block, which is no part of any figure.
 *
 * Ends when its stdin closes.
 */
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { Identify } from '@libp2p/identify'
import type { Connection } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p, Libp2pInit } from 'libp2p'
import { startBitswapHost } from '#test/support/bitswap-host.ts'
import { seededBlock } from '#test/support/seeded-content.ts'
import { webTransportClient } from '#test/support/web-transport-client.ts'
import { JsLoadClient, type LoadTargets, resultOf } from './js-load-client.ts'

const numbers = { clients: 1, wants: 32, blocks: 0, size: 4096, 'block-seed': 1, seconds: 0, idle: 0 }
type Numbers = Record<keyof typeof numbers, number>

const { values } = parseArgs({
  // What Go takes and this has in one form only.
  strict: false,
  options: { peer: { type: 'string' }, churn: { type: 'string' }, 'lost-after': { type: 'string' } },
})
const peer = String(values.peer)
const flags = Object.fromEntries(
  Object.entries(numbers).map(([name, standard]) => [name, Number(values[name] ?? standard)]),
) as Numbers
const lostAfterMs = Number.parseFloat(String(values['lost-after'] ?? '20000'))

const connectingAtOnce = 8
const connectWithinMs = 20_000
let transports: NonNullable<Libp2pInit['transports']>

async function connect(client?: JsLoadClient): Promise<{ node: Libp2p; connection: Connection }> {
  const node = await startBitswapHost({ transports, receive: (message) => client?.receive(message) })
  const signal = AbortSignal.timeout(connectWithinMs)
  try {
    const connection = await node.dial(multiaddr(peer), { signal })
    await (node.services as { identify: Identify }).identify.identify(connection, { signal })
    return { node, connection }
  } catch (error) {
    await node.stop()
    throw error
  }
}

async function load(): Promise<void> {
  const targets = makeTargets()
  const clients: JsLoadClient[] = []
  for (let number = 0; number < flags.clients; number++) {
    const client = new JsLoadClient(targets, { number, ...flags, lostAfterMs })
    const { connection } = await connect(client)
    await client.begin(connection)
    clients.push(client)
  }
  tell({ event: 'ready', clients: clients.length })
  const beganMs = performance.now()
  for (const client of clients) client.want()
  await Bun.sleep(flags.seconds * 1000)
  for (const client of clients) client.close()
  await Promise.all(clients.map((client) => client.settled))
  tell(resultOf(clients, beganMs))
}

async function churn(): Promise<void> {
  tell({ event: 'ready', clients: flags.clients })
  const beganMs = performance.now()
  const connects: number[] = []
  const faults: unknown[] = []
  const visitor = async (): Promise<void> => {
    while (performance.now() - beganMs < flags.seconds * 1000) {
      const since = performance.now()
      try {
        const { node } = await connect()
        connects.push(performance.now() - since)
        await node.stop()
      } catch (error) {
        faults.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: flags.clients }, visitor))
  const visits = { visits: connects.length, visitsFailed: faults.length }
  tell({
    ...resultOf([], beganMs, connects),
    ...visits,
    firstError: faults.length > 0 ? `${faults[0]}` : null,
  })
}

async function idle(): Promise<void> {
  for (let made = 0; made < flags.idle; made += connectingAtOnce) {
    const more = Math.min(connectingAtOnce, flags.idle - made)
    await Promise.all(Array.from({ length: more }, () => connect()))
  }
  tell({ event: 'ready', clients: flags.idle })
}

function makeTargets(): LoadTargets {
  const cids: Uint8Array[] = []
  const byDigest = new Map<string, number>()
  for (let index = 0; index < flags.blocks; index++) {
    const digest = createHash('sha256')
      .update(seededBlock(flags['block-seed'], index, flags.size))
      .digest()
    cids.push(Uint8Array.from([1, 0x55, 0x12, 0x20, ...digest]))
    byDigest.set(digest.toString('base64'), index)
  }
  return { cids, byDigest }
}

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

process.stdin.on('end', () => process.exit(0)).resume()
try {
  transports = [peer.includes('/webtransport') ? await webTransportClient() : tcp()]
  await (flags.idle > 0 ? idle() : values.churn === 'true' ? churn() : load())
} catch (error) {
  tell({ event: 'failed', error: `${error}` })
}
