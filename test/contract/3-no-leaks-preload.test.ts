import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { type AskingBackend, type RefsAtBackend, startAskingBackend } from '#test/support/asking-backend.ts'
import { seededTree } from '#test/support/dag.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { keepUntilAfterEach } from '#test/support/keep.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { type RawBrowser, type RawBrowserOptions, startRawBrowser } from '#test/support/raw-browser.ts'
import { callRefs, type RefsAnswer, type RefsCallOptions, refs } from '#test/support/refs-call.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 3 for preload: a client hears of nobody's wants but those for what its own address asked for. */
const keep = keepUntilAfterEach()

const adder = '127.0.0.2'
const other = '127.0.0.3'

let backend: AskingBackend
let edge: EdgeProcess
let script: (refs: RefsAtBackend) => void | Promise<void> = () => {}
let seeds = 0

beforeAll(async () => {
  backend = await startAskingBackend((asked) => script(asked))
  edge = await startEdgeProcess({ backends: [backend.rpc], env: { KITSUNE_PRELOAD_WAIT: '2s' } })
  await edge.untilReady()
}, 30_000)

afterEach(async () => {
  await edge.untilMetrics(preloadIsIdle, 10_000)
}, 15_000)

afterAll(async () => {
  await edge?.stop()
  await backend?.stop()
})

const browse = async (localAddress: string, options: RawBrowserOptions = {}): Promise<RawBrowser> =>
  keep(await startRawBrowser(edge.tcp, { ...options, localAddress }))

const aDag = () => seededTree(700 + seeds++, 6, 2_000)

/** Resolves once the edge has dealt with all that a client sent before: it answers in order. */
async function settled(client: RawBrowser): Promise<void> {
  const asked = { cid: seededCid(799, seeds++, 8).bytes, have: true, sendDontHave: true }
  await client.ask(asked)
}

describe('the wants of a granted DAG', () => {
  test.each(['honest', 'js-ipfs', 'old-js-ipfs'] as const)(
    'reach the %s client that granted it and nobody elsewhere, though all have the content',
    async (manner) => {
      const dag = aDag()
      const bystanders = await Promise.all([
        browse(other, { blocks: dag.blocks }),
        browse('127.0.0.4', { blocks: dag.blocks, manner: 'js-ipfs' }),
      ])
      const owner = await browse(adder, { blocks: dag.blocks, manner })
      script = async (asked) => {
        await backend.want(dag.blocks.map(({ cid }) => cid))
        await backend.until(({ holds }) => dag.blocks.every(({ cid }) => holds(cid)))
        asked.lines(...dag.blocks.slice(0, -1).map(({ cid }) => cid.toString()))
        asked.end()
      }
      const answer = await refs({ web: edge.web, arg: `${dag.root}`, from: adder })
      expect(answer).toMatchObject({ status: 200, ending: 'whole', error: undefined })
      expect([...owner.handedOut.values()]).toEqual(dag.blocks.map(() => 1))
      for (const each of bystanders) {
        await settled(each)
        expect(each.asked).toEqual([])
      }
    },
    20_000,
  )

  test('reach nobody elsewhere even where the one who granted it is gone or silent', async () => {
    const dag = aDag()
    const elsewhere = await browse(other, { blocks: dag.blocks })
    script = () => backend.want(dag.blocks.map(({ cid }) => cid))
    const gone = await refs({ web: edge.web, arg: `${dag.root}`, from: adder })
    expect(gone.status).toBeGreaterThanOrEqual(500)
    const silent = await browse(adder, { manner: 'silent', blocks: dag.blocks })
    const answer = await refs({ web: edge.web, arg: `${dag.root}`, from: adder })
    expect(answer.status).toBeGreaterThanOrEqual(500)
    expect(silent.asked.map(({ cid }) => cid)).toContain(dag.root.toString())
    await settled(elsewhere)
    expect(elsewhere.asked).toEqual([])
  }, 20_000)

  test('reach only what the DAG links to: a backend gets nothing else from the client that granted it', async () => {
    const dag = aDag()
    const secret = aDag()
    const owner = await browse(adder, { blocks: [...dag.blocks, ...secret.blocks] })
    script = async (asked) => {
      await backend.want([...secret.blocks, ...dag.blocks].map(({ cid }) => cid))
      await backend.until(({ holds }) => dag.blocks.every(({ cid }) => holds(cid)))
      asked.end()
    }
    expect((await refs({ web: edge.web, arg: `${dag.root}`, from: adder })).status).toBe(200)
    await settled(owner)
    const inDag = new Set(dag.blocks.map(({ cid }) => cid.toString()))
    expect(owner.asked.filter(({ cid }) => !inDag.has(cid))).toEqual([])
  }, 20_000)

  test('are over with the grant: what a backend wants later stays with it', async () => {
    const dag = aDag()
    const owner = await browse(adder, { blocks: dag.blocks })
    script = (asked) => asked.end()
    expect((await refs({ web: edge.web, arg: `${dag.root}`, from: adder })).status).toBe(200)
    await edge.untilMetrics(preloadIsIdle)
    const before = (await edge.metrics()).sum('kitsune_backend_wants_total', { verdict: 'ignored' })
    await backend.want(dag.blocks.map(({ cid }) => cid))
    await edge.untilMetrics(
      (m) => m.sum('kitsune_backend_wants_total', { verdict: 'ignored' }) - before >= dag.blocks.length,
    )
    await settled(owner)
    expect(owner.asked).toEqual([])
  }, 20_000)
})

describe('an answer', () => {
  const inside =
    'dial tcp 10.1.2.3:4001: /ip4/10.1.2.3/tcp/4001/p2p/12D3KooWBackend refused by [fd00::7]:5001'
  const dag = seededTree(690, 3, 100)
  const good: Partial<RefsCallOptions> = { arg: `${dag.root}` }

  const answers: [string, (refs: RefsAtBackend) => void, Partial<RefsCallOptions>][] = [
    ['a success', (asked) => asked.end(), good],
    ['a failure', (asked) => asked.fail(inside), good],
    ['a failure in a line', (asked) => asked.end(inside), good],
    [
      'a failure after a line',
      (asked) => {
        asked.lines(`${dag.root}`)
        setImmediate(() => asked.end(inside))
      },
      good,
    ],
    ['a refusal', (asked) => asked.fail(`<html>${inside}</html>`, 403), good],
    ['a lost backend', (asked) => asked.cut(), good],
    ['nobody who has it', () => void backend.want([dag.root]), good],
    ['a bad argument', () => {}, { arg: 'hello' }],
    ['a bad method', () => {}, { arg: `${dag.root}`, method: 'PUT' }],
    [
      'a preflight',
      () => {},
      { arg: `${dag.root}`, method: 'OPTIONS', headers: { origin: 'https://a.example' } },
    ],
  ]
  test.each(answers)(
    'that is %s says nothing about the inside',
    async (_, how, call) => {
      script = how
      const client = await browse(other)
      const answer = await refs({ web: edge.web, from: adder, ...call })
      expectNothingInside(answer, [client.node.peerId.toString(), other])
    },
    10_000,
  )

  test('for the same root that somebody else preloads names neither', async () => {
    const shared = aDag()
    const owner = await browse(adder, { blocks: shared.blocks })
    script = async (asked) => {
      await backend.want([shared.root])
      await edge.untilMetrics((m) => m.sum('kitsune_refs_under_way') === 2)
      asked.lines(`${shared.blocks[0]?.cid}`)
      asked.end()
    }
    const first = callRefs({ web: edge.web, arg: `${shared.root}`, from: adder })
    const second = callRefs({ web: edge.web, arg: `${shared.root}`, from: other })
    for (const { answer } of [first, second]) {
      expect((await answer).status).toBe(200)
      expectNothingInside(await answer, [owner.node.peerId.toString(), adder, other])
    }
  }, 10_000)
})

function expectNothingInside(answer: RefsAnswer, more: readonly string[]): void {
  const text = `${JSON.stringify(answer.headers)} ${answer.body}`
  const secrets = [
    backend.peerId,
    ...backend.lanes,
    new URL(backend.rpc).port,
    new URL(edge.admin).port,
    ...more,
  ]
  for (const secret of [...secrets, '10.1.2.3', 'fd00::7', '12D3KooWBackend'])
    expect(text).not.toContain(secret)
  const known =
    /^(access-control-.*|content-(type|length)|transfer-encoding|x-(chunked-output|stream-.*|content-length)|vary|trailer|date|connection|keep-alive|cache-control|retry-after|allow|x-content-type-options)$/
  expect(Object.keys(answer.headers).filter((name) => !known.test(name))).toEqual([])
  expect(answer.headers.server).toBeUndefined()
}
