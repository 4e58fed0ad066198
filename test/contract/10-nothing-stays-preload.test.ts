import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type AskingBackend, startAskingBackend } from '#test/support/asking-backend.ts'
import { hollowTree, seededTree } from '#test/support/dag.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import type { EdgeMetrics } from '#test/support/edge-metrics.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { type Manner, startRawBrowser } from '#test/support/raw-browser.ts'
import { callRefs } from '#test/support/refs-call.ts'

/** Contract 10 for preload: nothing of it stays after the last call and the last connection. */
let backend: AskingBackend
let edge: EdgeProcess
let seeds = 0

/** Wants whatever is asked of it for ever, root and links alike. */
beforeAll(async () => {
  backend = await startAskingBackend(async (asked) => {
    const dag = dags.get(asked.arg)
    await backend.want(dag?.blocks.map(({ cid }) => cid) ?? [])
    asked.lines(asked.arg)
    if (dag?.ends === true) asked.end()
  })
  edge = await startEdgeProcess({
    backends: [backend.rpc],
    env: { KITSUNE_CACHE: '0', KITSUNE_MISS: 'dont-have', KITSUNE_PRELOAD_WAIT: '1s' },
  })
  await edge.untilReady()
}, 30_000)

afterAll(async () => {
  await edge?.stop()
  await backend?.stop()
})

const dags = new Map<string, ReturnType<typeof seededTree> & { ends: boolean }>()

const empty = (m: EdgeMetrics): boolean =>
  preloadIsIdle(m) &&
  ['connections', 'clients', 'wants_outstanding', 'pending', 'outbox_bytes'].every(
    (name) => m.sum(`kitsune_${name}`) === 0,
  )

type Leaving = 'waits for the end' | 'hangs up' | 'vanishes' | 'goes before it is asked'

const manners: readonly Manner[] = [
  'honest',
  'js-ipfs',
  'old-js-ipfs',
  'wrong',
  'denies',
  'silent',
  'trickle',
]

/** One visit that leaves things half done: a grant, pulls, a block begun, blocks nobody has. */
async function visit(index: number, leaving: Leaving): Promise<void> {
  const from = `127.0.0.${10 + (index % 5)}`
  const seed = 10_000 + seeds++
  const dag = index % 3 === 0 ? hollowTree(seed, 2, 20) : seededTree(seed, 12, 9_000)
  dags.set(`${dag.root}`, { ...dag, ends: index % 2 === 0 })
  const manner = manners[index % manners.length] ?? 'honest'
  const browser = await startRawBrowser(edge.tcp, { manner, blocks: dag.blocks, localAddress: from })
  try {
    if (leaving === 'goes before it is asked') await browser.stop()
    const call = callRefs({ web: edge.web, arg: `${dag.root}`, from })
    if (leaving === 'waits for the end') {
      await call.answer
      return
    }
    await backend.until(({ refs }) => refs.some(({ arg }) => arg === `${dag.root}`))
    if (leaving === 'vanishes') {
      browser.vanish()
      await call.answer
    }
    call.abort()
  } finally {
    await browser.stop()
  }
}

describe('after the last call and connection', () => {
  test.each(['waits for the end', 'hangs up', 'vanishes', 'goes before it is asked'] as const)(
    'nothing is held for one who %s',
    async (leaving) => {
      await Promise.all(Array.from({ length: 14 }, (_, i) => visit(i, leaving)))
      await edge.untilMetrics(empty, 15_000)
    },
    60_000,
  )

  test('many visits later no more is open than before', async () => {
    const leavings: readonly Leaving[] = ['waits for the end', 'hangs up', 'vanishes']
    const round = async (): Promise<EdgeMetrics> => {
      for (let batch = 0; batch < 3; batch++) {
        await Promise.all(Array.from({ length: 14 }, (_, i) => visit(i, leavings[batch]!)))
      }
      return edge.untilMetrics(empty, 15_000)
    }
    const before = await round()
    const after = await round()
    const grown = (name: string, labels = {}): number => after.sum(name, labels) - before.sum(name, labels)
    const residentBytes = grown('kitsune_process_memory_bytes', { kind: 'resident' })
    console.log(`resident after 42 more preloads: ${Math.round(residentBytes / 1e6)} MB more`)
    expect(grown('kitsune_process_open_files')).toBeLessThanOrEqual(2)
    expect(grown('kitsune_refs_total')).toBe(42)
    expect(grown('kitsune_grants_ended_total')).toBe(42)
  }, 120_000)
})
