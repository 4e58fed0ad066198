import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { writeAll } from '#test/support/bitswap-host.ts'
import { type Bystander, startBystander } from '#test/support/bystander.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'
import { framed, type RawWant, rawBody, rawFrame } from '#test/support/raw-message.ts'

/**
 * Contract 2, wants: every structure that a peer's input can grow has a cap. Each test floods the edge while a
 * bystander keeps fetching; the flood is counted by reason and costs the bystander nothing but time.
 */
const wantsPerClient = 16_384

let bystander: Bystander
let edge: EdgeProcess
const attackers: RawClient[] = []

beforeAll(async () => {
  bystander = await startBystander()
  edge = await startEdgeProcess({ backends: [bystander.backend.addr], env: { KITSUNE_MISS: 'dont-have' } })
  await edge.untilReady()
  await bystander.join(edge.tcp)
}, 30_000)

afterEach(async () => {
  await Promise.all(attackers.splice(0).map((attacker) => attacker.stop()))
  await edge.untilMetrics((m) => m.sum('kitsune_clients') === 1 && m.sum('kitsune_wants_outstanding') === 0)
})

afterAll(async () => {
  await bystander?.stop()
  await edge?.stop()
})

const attack = async (options: Parameters<typeof startRawClient>[1] = {}): Promise<RawClient> => {
  const attacker = await startRawClient(edge.tcp, options)
  attackers.push(attacker)
  return attacker
}

const sha256Cid = (digest: Uint8Array): Uint8Array => CID.createV1(0x55, createDigest(0x12, digest)).bytes

function absentWants(count: number, how: Omit<RawWant, 'cid'> = {}): RawWant[] {
  const digests = randomBytes(32 * count)
  return Array.from({ length: count }, (_, i) => ({
    cid: sha256Cid(digests.subarray(i * 32, i * 32 + 32)),
    ...how,
  }))
}

const refusedNow = async (reason: string): Promise<number> =>
  (await edge.metrics()).refused('client')[reason] ?? 0

async function expectCounted(reason: string, times: number, before: number): Promise<void> {
  await edge.untilMetrics((m) => (m.refused('client')[reason] ?? 0) - before === times)
}

describe('floods of wants', () => {
  test('100,000 wants in one message: what is over the limit is refused, and denied to who asked', async () => {
    const before = await refusedNow('too-many-wants')
    const attacker = await attack()
    const frame = rawFrame({ wants: absentWants(100_000, { sendDontHave: true }) })
    expect(frame.length).toBeLessThan(5 * 1024 * 1024)
    await writeAll(await attacker.open(), frame)
    await bystander.fetches(20)
    await expectCounted('too-many-wants', 100_000 - wantsPerClient, before)
    const held = (await edge.metrics()).sum('kitsune_wants_outstanding')
    expect(held).toBeLessThanOrEqual(wantsPerClient)
  }, 60_000)

  test('wants that no answer can be sent for, since the client never reads', async () => {
    const attacker = await attack({ deaf: true })
    for (let i = 0; i < 5; i++) {
      await attacker.send({ wants: bystander.contentWants() })
      await attacker.send({ wants: absentWants(5_000, { sendDontHave: true }) })
    }
    await bystander.fetches(20)
    const metrics = await edge.metrics()
    expect(metrics.sum('kitsune_outbox_bytes')).toBeLessThanOrEqual(20 * 1024 * 1024)
    console.log(
      `resident: ${Math.round(metrics.sum('kitsune_process_memory_bytes', { kind: 'resident' }) / 1e6)} MB`,
    )
  }, 60_000)

  test('cancels by the ten thousand, of what was wanted and of what never was', async () => {
    const attacker = await attack()
    for (let i = 0; i < 10; i++) {
      const wants = absentWants(5_000)
      await attacker.send({ wants })
      await attacker.send({ wants: wants.map(({ cid }) => ({ cid, cancel: true })) })
      await attacker.send({ wants: absentWants(10_000, { cancel: true }) })
    }
    await bystander.fetches(20)
    await edge.untilMetrics((m) => m.sum('kitsune_wants_outstanding') === 0, 20_000)
    await edge.untilMetrics((m) => m.sum('kitsune_pending') === 0)
  }, 60_000)

  test('a full wantlist that replaces another, again and again', async () => {
    const attacker = await attack()
    for (let i = 0; i < 20; i++) await attacker.send({ full: true, wants: absentWants(4_000) })
    await attacker.send({ full: true, wants: [] })
    await bystander.fetches(20)
    await edge.untilMetrics((m) => m.sum('kitsune_wants_outstanding') === 0, 20_000)
  }, 60_000)

  const long = new Uint8Array(200).fill(1)
  const badCids: [string, string, Uint8Array][] = [
    ['empty', 'bad-cid', new Uint8Array(0)],
    ['noise', 'bad-cid', Uint8Array.of(7, 7, 7, 7)],
    ['too long', 'cid-too-long', long],
    ['cut off', 'bad-cid', sha256Cid(new Uint8Array(32)).subarray(0, 20)],
    ['with a digest longer than it is', 'bad-cid', Uint8Array.of(1, 0x55, 0x12, 64, 1, 2, 3)],
    ['of a version nobody knows', 'bad-cid', Uint8Array.of(9, 0x55, 0x12, 32, ...new Uint8Array(32))],
    ['an endless varint', 'bad-cid', new Uint8Array(40).fill(0xff)],
    ['an identity', 'identity-cid', CID.createV1(0x55, createDigest(0, Uint8Array.of(1, 2, 3))).bytes],
    [
      'of an unknown hash',
      'unknown-hash',
      CID.createV1(0x55, createDigest(0x7777, new Uint8Array(32))).bytes,
    ],
    [
      'with a digest that can be forged',
      'bad-cid',
      CID.createV1(0x55, createDigest(0x12, new Uint8Array(8))).bytes,
    ],
  ]
  test.each(badCids)(
    'a CID that is %s is %s, and the wants beside it are served',
    async (_name, reason, cid) => {
      const before = await refusedNow(reason)
      const attacker = await attack()
      const [good] = bystander.contentWants() as [RawWant]
      await attacker.send({ wants: [{ cid, sendDontHave: true }, good, { cid, have: true }] })
      await attacker.until(({ blocks }) => blocks.size === 1)
      await expectCounted(reason, 2, before)
      // A cancel of it is nothing.
      await attacker.send({ wants: [{ cid, cancel: true }] })
      expect(attacker.connection.status).toBe('open')
    },
  )

  test('blocks and presences nobody asked for', async () => {
    const before = await refusedNow('unwanted-block')
    const attacker = await attack()
    const blocks = Array.from({ length: 100 }, () => ({
      prefix: Uint8Array.of(1, 0x55, 0x12, 32),
      bytes: randomBytes(10_000),
    }))
    const strays = absentWants(1_000).map(({ cid }) => cid)
    await attacker.send({ blocks, haves: strays, dontHaves: strays })
    await bystander.fetches(5)
    await expectCounted('unwanted-block', 100, before)
    expect((await edge.metrics()).sum('kitsune_blocks_received_total')).toBeLessThan(2_000)
  })

  test.each([
    ['a length of 2^40', 'message-too-big', Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01])],
    ['a length just over the limit', 'message-too-big', framed(new Uint8Array(5 * 1024 * 1024 + 1))],
    ['noise', 'malformed', framed(new Uint8Array(100).fill(0xff))],
    ['a wantlist longer than its message', 'malformed', framed(Uint8Array.of(0x0a, 0x7f, 0x0a))],
    ['a field with a group type', 'malformed', framed(Uint8Array.of(0x0b))],
    ['a block of over 2 MiB', 'block-too-big', framed(rawBody({ bareBlocks: [new Uint8Array(2_097_153)] }))],
  ])('%s is %s: the stream is reset, the connection stays', async (_name, reason, bytes) => {
    const before = await refusedNow(reason)
    const attacker = await attack()
    const stream = await attacker.open()
    const closed = new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }))
    await writeAll(stream, bytes).catch(() => {})
    await closed
    await expectCounted(reason, 1, before)
    await attacker.send({ wants: bystander.contentWants().slice(0, 3) })
    await attacker.until(({ blocks }) => blocks.size === 3)
  })
})
