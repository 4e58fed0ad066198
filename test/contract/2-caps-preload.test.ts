import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { type AskingBackend, type RefsAtBackend, startAskingBackend } from '#test/support/asking-backend.ts'
import { cborBlock, type Dag, hollowTree, pbBlock, seededChain, seededTree } from '#test/support/dag.ts'
import { type EdgeProcess, poll, startEdgeProcess } from '#test/support/edge.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { startRawBrowser } from '#test/support/raw-browser.ts'
import { callRefs, type RefsAnswer, refs } from '#test/support/refs-call.ts'

/**
 * Contract 2, preload: what a caller can make grow has a cap, and an event that empties it. The backend here walks
 * whatever it can get, without a limit of its own.
 */
const keep = keepUntilAfterEach()
const limits = {
  KITSUNE_PRELOAD_WAIT: '3s',
  KITSUNE_PRELOAD_BYTES: '4MiB',
  KITSUNE_PRELOAD_BYTES_PER_ADDRESS: '6MiB',
  KITSUNE_PRELOAD_BLOCKS: '50000',
  KITSUNE_PRELOAD_BLOCKS_PER_ADDRESS: '60000',
  KITSUNE_PRELOAD_BLOCKS_TOTAL: '90000',
  KITSUNE_PRELOAD_DEPTH: '20',
  KITSUNE_PRELOAD_CALLS_PER_ADDRESS: '6',
  KITSUNE_PRELOAD_CALLS_TOTAL: '24',
  KITSUNE_PRELOAD_RATE: '60/min',
}

let backend: AskingBackend
let edge: EdgeProcess
/** What the backend wants for each root, and whether it then goes on without an end. */
const walks = new Map<string, { readonly dag: Dag; readonly hangs: boolean }>()
/** What it answers for each root instead. */
const scripts = new Map<string, (asked: RefsAtBackend) => void>()

beforeAll(async () => {
  backend = await startAskingBackend(async (asked) => {
    const script = scripts.get(asked.arg)
    if (script !== undefined) return script(asked)
    const walk = walks.get(asked.arg)
    asked.lines(asked.arg)
    await backend.want(walk?.dag.blocks.map(({ cid }) => cid) ?? [])
    await backend.until(({ holds }) => walk?.dag.blocks.every(({ cid }) => holds(cid)) ?? true)
    if (walk?.hangs !== true) asked.end()
  })
  edge = await startEdgeProcess({ backends: [backend.rpc], env: limits })
  await edge.untilReady()
}, 30_000)

afterEach(async () => {
  await edge.untilMetrics(preloadIsIdle, 10_000)
}, 15_000)

afterAll(async () => {
  await edge?.stop()
  await backend?.stop()
})

interface Attempt {
  readonly from: string
  readonly hangs?: boolean
}

/** A client at an address that has a DAG; the backend is ready to walk it. */
async function offer(dag: Dag, { from, hangs = false }: Attempt) {
  walks.set(`${dag.root}`, { dag, hangs })
  return keep(await startRawBrowser(edge.tcp, { blocks: dag.blocks, localAddress: from }))
}

const preload = (dag: Dag, from: string): Promise<RefsAnswer> =>
  refs({ web: edge.web, arg: `${dag.root}`, from })

function expectLimit({ status, error, ending }: RefsAnswer): void {
  expect([200, 413]).toContain(status)
  expect({ error, ending }).toEqual({ error: expect.stringMatching(/larger|deeper/), ending: 'whole' })
}

let seeds = 20_000

/** Somebody else, somewhere else, is served all the while. */
async function expectOthersServed(): Promise<void> {
  const from = '127.0.0.99'
  const dag = seededTree(seeds++, 4, 3_000)
  await offer(dag, { from })
  expect(await preload(dag, from)).toMatchObject({ status: 200, error: undefined, ending: 'whole' })
  expect(dag.blocks.every(({ cid }) => backend.holds(cid))).toBe(true)
}

const refusedBy = (reason: string) => async (): Promise<number> =>
  (await edge.metrics()).sum('kitsune_refs_refused_total', { reason })

function expectTooMany({ status, headers, error }: RefsAnswer): void {
  expect(status).toBe(429)
  expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expect(headers['access-control-allow-origin']).toBe('*')
  expect(error).toMatch(/./)
}

describe('a DAG that is too much', () => {
  test.each([
    ['dag-pb', pbBlock],
    ['dag-cbor', cborBlock],
  ] as const)(
    'by a million links in blocks of %s: the grant names no more than it may',
    async (_, block) => {
      const dag = hollowTree(seeds++, 25, 40_000, block)
      await offer(dag, { from: '127.0.0.2' })
      let most = 0
      const call = callRefs({ web: edge.web, arg: `${dag.root}`, from: '127.0.0.2' })
      let over = false
      void call.answer.finally(() => {
        over = true
      })
      while (!over) most = Math.max(most, (await edge.metrics()).sum('kitsune_granted_blocks'))
      expectLimit(await call.answer)
      expect(most).toBeLessThanOrEqual(50_000)
      await expectOthersServed()
    },
    60_000,
  )

  test('by its depth: a chain without an end is followed as deep as may be', async () => {
    const dag = seededChain(seeds++, 200)
    const client = await offer(dag, { from: '127.0.0.2' })
    expectLimit(await preload(dag, '127.0.0.2'))
    expect(client.handedOut.size).toBeLessThanOrEqual(21)
    await expectOthersServed()
  }, 30_000)

  test('by its bytes: what is pulled is what was allowed and what was on its way', async () => {
    const dag = seededTree(seeds++, 40, 1024 * 1024)
    await offer(dag, { from: '127.0.0.2' })
    const pulled = async () => (await edge.metrics()).sum('kitsune_block_pulled_bytes_total')
    const before = await pulled()
    expectLimit(await preload(dag, '127.0.0.2'))
    expect((await pulled()) - before).toBeLessThanOrEqual((4 + 8 + 2) * 1024 * 1024)
    await expectOthersServed()
  }, 30_000)

  test('by all that its address has under way; another address has a budget of its own', async () => {
    const mebibyte = 1024 * 1024
    const held = seededTree(seeds++, 3, mebibyte)
    const second = seededTree(seeds++, 7, mebibyte / 2)
    await offer(held, { from: '127.0.0.2', hangs: true })
    const first = callRefs({ web: edge.web, arg: `${held.root}`, from: '127.0.0.2' })
    await backend.until(({ holds }) => held.blocks.every(({ cid }) => holds(cid)))
    await offer(second, { from: '127.0.0.2', hangs: true })
    expectLimit(await preload(second, '127.0.0.2'))
    const elsewhere = seededTree(seeds++, 3, mebibyte)
    await offer(elsewhere, { from: '127.0.0.3' })
    expect(await preload(elsewhere, '127.0.0.3')).toMatchObject({ status: 200, error: undefined })
    first.abort()
    await edge.untilMetrics(preloadIsIdle)
    const again = seededTree(seeds++, 3, mebibyte)
    await offer(again, { from: '127.0.0.2' })
    expect(await preload(again, '127.0.0.2')).toMatchObject({ status: 200, error: undefined })
  }, 30_000)
})

describe('a flood of calls', () => {
  /** Calls that stay open: their backend never ends them, and they are given nothing else to do. */
  const hold = (from: string, count: number) =>
    Array.from({ length: count }, () => {
      const arg = `${seededTree(seeds++, 1, 10).root}`
      scripts.set(arg, (asked) => void asked.lines(arg))
      return callRefs({ web: edge.web, arg, from })
    })

  test('from one address is over at its share; others are served, and it is again when it lets go', async () => {
    const before = await refusedBy('calls-per-address')()
    const held = hold('127.0.0.2', 6)
    await edge.untilMetrics((m) => m.sum('kitsune_refs_under_way') === 6)
    for (const call of hold('127.0.0.2', 20)) expectTooMany(await call.answer)
    expect((await refusedBy('calls-per-address')()) - before).toBe(20)
    await expectOthersServed()
    for (const call of held) call.abort()
    await edge.untilMetrics(preloadIsIdle)
    const [call] = hold('127.0.0.2', 1)
    expect(await call?.status).toBe(200)
    call?.abort()
  }, 30_000)

  test('from many addresses ends at what the edge takes in all, and with its waiting', async () => {
    const before = await refusedBy('calls-total')()
    const calls = Array.from({ length: 30 }, (_, i) => hold(`127.0.1.${i + 1}`, 3)).flat()
    const statuses = await Promise.all(calls.map(({ status }) => status))
    const taken = statuses.filter((status) => status === 200).length
    expect(taken).toBeGreaterThanOrEqual(20)
    expect(taken).toBeLessThanOrEqual(24)
    for (const [i, status] of statuses.entries()) if (status !== 200) expectTooMany(await calls[i]!.answer)
    expect((await refusedBy('calls-total')()) - before).toBeGreaterThan(0)
    // Nothing comes of them, so they end by themselves, and there is room again.
    await edge.untilMetrics(preloadIsIdle, 12_000)
    await expectOthersServed()
  }, 30_000)

  test('that are all short is over at its rate; others are served', async () => {
    const from = '127.0.0.5'
    let refused = 0
    for (let batch = 0; batch < 30; batch++) {
      const answers = await Promise.all(
        Array.from({ length: 4 }, () =>
          refs({ web: edge.web, arg: `${seededTree(seeds++, 1, 9).root}`, from }),
        ),
      )
      for (const answer of answers) {
        if (answer.status === 200) continue
        expectTooMany(answer)
        refused++
      }
    }
    expect(refused).toBeGreaterThanOrEqual(20)
    expect(refused).toBeLessThanOrEqual(60)
    await expectOthersServed()
  }, 30_000)
})

describe('a caller that does not read', () => {
  test('pauses the backend instead of filling the edge', async () => {
    const line = 'x'.repeat(30_000)
    let sent = 0
    const arg = `${seededTree(seeds++, 1, 9).root}`
    scripts.set(arg, (asked) => {
      const more = (): void => {
        while (sent < 300e6) {
          sent += line.length
          if (!asked.lines(line)) return void asked.drained.then(more)
        }
      }
      more()
    })
    const residentBytes = async () =>
      (await edge.metrics()).sum('kitsune_process_memory_bytes', { kind: 'resident' })
    const before = await residentBytes()
    const socket = connect(Number(new URL(edge.web).port), '127.0.0.1')
    socket.pause()
    socket.write(`POST /api/v0/refs?r=true&arg=${arg} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`)
    let last = -1
    await poll(
      async () => sent,
      (now) => {
        const stands = now > 0 && now === last
        last = now
        return stands
      },
      10_000,
    )
    expect(sent).toBeLessThan(60e6)
    expect((await residentBytes()) - before).toBeLessThan(60e6)
    socket.destroy()
    await backend.refs.at(-1)?.gone
  }, 30_000)
})
