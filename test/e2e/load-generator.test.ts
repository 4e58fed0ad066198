import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { goLoad, startGoChurn, startGoIdle, startGoWant } from '#test/support/go-load.ts'
import { type GoServe, goBinary, startGoServe } from '#test/support/go-peer.ts'
import { requirePeer } from '#test/support/peers.ts'

/** What the bench asks of the Go load generator: a figure is worth what its source is. */
const content = { blocks: 200, blockBytes: 2048 }
const flawless = { lost: 0, wrong: 0, unfinished: 0, errors: 0, disconnects: 0 }

describe.skipIf(!requirePeer('go'))('the load generator of the bench', () => {
  let backend: GoServe
  let slow: GoServe

  beforeAll(async () => {
    await goBinary()
    backend = await startGoServe({ ...content, ws: true })
    slow = await startGoServe({ ...content, delayMs: 40 })
  }, 300_000)
  afterAll(() => Promise.all([backend?.stop(), slow?.stop()]))

  test('waits for what is outstanding when the time is over', async () => {
    const load = { clients: 2, wants: 4, loop: true, seconds: 0.3, ...content }
    expect((await goLoad({ peer: slow.addr, ...load })).unfinished).toBeGreaterThan(0)
    const settled = await goLoad({ peer: slow.addr, ...load, settle: true })
    expect(settled).toMatchObject({ ...flawless, wanted: settled.blocks })
    expect(settled.blocks).toBeGreaterThan(8)
  })

  test('what never came does not count as time', async () => {
    const load = { ...content, blocks: 201, clients: 1, wants: 300, lostAfterMs: 1500 }
    const result = await goLoad({ peer: backend.addr, ...load, loop: false, seconds: 0.2, settle: true })
    expect(result).toMatchObject({ blocks: 200, lost: 1 })
    expect(result.seconds).toBeLessThan(1)
  })

  test('an open loop keeps its rate, and a slow answer hides no later question', async () => {
    const open = { clients: 2, wants: 400, loop: true, seconds: 1, settle: true, ...content }
    const kept = await goLoad({ peer: backend.addr, ...open, ratePerSec: 150 })
    expect(kept).toMatchObject(flawless)
    expect(kept.wanted).toBeGreaterThan(90)
    expect(kept.wanted).toBeLessThan(220)
    // One want at a time and 40 ms for each: at ten times that rate nearly all of them stand in line.
    const late = await goLoad({ peer: slow.addr, ...open, clients: 1, wants: 1, ratePerSec: 250 })
    expect(late.p50ms ?? 0).toBeGreaterThan(200)
  })

  test('asks for what nobody has until the time is over, and times the answers', async () => {
    const load = { blocks: 0, blockBytes: 1, wants: 8, missing: -1, sendDontHave: true }
    const result = await goLoad({ peer: backend.addr, ...load, seconds: 0.3, settle: true })
    expect(result).toMatchObject(flawless)
    expect(result.missingDenied).toBe(result.missingAsked)
    expect(result.missingDenied).toBeGreaterThan(8)
    expect(result.p50ms ?? 0).toBeGreaterThan(0)
  })

  test('clients come, get their blocks and go', async () => {
    const before = await backend.stats()
    const run = await startGoChurn({ peer: backend.addr, ...content, clients: 3, count: 5, seconds: 0.3 })
    try {
      const result = await run.result(20_000)
      expect(result).toMatchObject({ ...flawless, visitsFailed: 0, blocks: result.visits * 5 })
      expect(result.visits).toBeGreaterThanOrEqual(3)
      expect(result.connectP50ms ?? 0).toBeGreaterThan(0)
      expect((await backend.stats()).blocksSent - before.blocksSent).toBe(result.blocks)
    } finally {
      await run.stop()
    }
  })

  test('idle connections are held over ws until they are let go', async () => {
    const ws = backend.addrs.find((address) => address.includes('/ws')) ?? ''
    const idle = await startGoIdle({ peer: ws, connections: 12 })
    try {
      expect(idle.connections).toBe(12)
      expect((await backend.stats()).connections).toBeGreaterThanOrEqual(12)
    } finally {
      await idle.stop()
    }
  })

  test('wants of a node that expects no answer arrive as want-haves, and are cancelled', async () => {
    const before = await backend.stats()
    const run = await startGoWant({ peer: backend.addr, batch: 16, seconds: 0.5 })
    try {
      await run.asked(0.2, 10_000)
      const { wants, firstError } = await run.result(10_000)
      expect(firstError).toBeNull()
      const after = await backend.stats()
      expect(after.wantHaves - before.wantHaves).toBeGreaterThan(512)
      expect(after.wantHaves - before.wantHaves).toBeLessThanOrEqual(wants + 16)
      expect(after.cancels).toBeGreaterThan(before.cancels)
      expect(after.wantBlocks).toBe(before.wantBlocks)
    } finally {
      await run.stop()
    }
  })
})
