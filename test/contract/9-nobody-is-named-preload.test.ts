import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type AskingBackend, type RefsAtBackend, startAskingBackend } from '#test/support/asking-backend.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'
import { preloadIsIdle } from '#test/support/preload-idle.ts'
import { refs } from '#test/support/refs-call.ts'
import { seededCid } from '#test/support/seeded-content.ts'

/** Contract 9 for preload: what a backend says of a client's content does not put its CID into a log line. */
let backends: AskingBackend[] = []
let edge: EdgeProcess
let says: (asked: RefsAtBackend) => void = () => {}

const from = '127.0.0.9'

beforeAll(async () => {
  backends = await Promise.all([1, 2].map(() => startAskingBackend((asked) => says(asked))))
  edge = await startEdgeProcess({
    backends: backends.map(({ rpc }) => rpc),
    env: { KITSUNE_PRELOAD_WAIT: '1s', KITSUNE_REPLICAS: '2' },
  })
  await edge.untilReady()
}, 30_000)

afterAll(async () => {
  await edge?.stop()
  await Promise.all(backends.map((backend) => backend.stop()))
})

/** Makes a refs of a root, and returns the log once all that comes of it is over. */
async function logOf(cid: string, message: string, how: typeof says): Promise<string> {
  says = how
  await refs({ web: edge.web, arg: cid, from })
  await edge.untilMetrics(preloadIsIdle)
  const text = edge.logs.map((line) => JSON.stringify(line)).join('\n') + edge.process.log()
  expect(text).toContain(message)
  return text
}

test('where one failed and another was looked for', async () => {
  const cid = seededCid(910, 1, 10).toString()
  let calls = 0
  const text = await logOf(cid, 'Backend failed a refs', (asked) =>
    calls++ === 0 ? asked.fail(`no link named "a" under ${cid}`) : asked.end(),
  )
  for (const name of [cid, from]) expect(text).not.toContain(name)
}, 20_000)

test('where a copy was not made', async () => {
  const cid = seededCid(910, 2, 10).toString()
  let calls = 0
  const text = await logOf(cid, 'A copy of preloaded content was not made', (asked) =>
    calls++ === 0 ? asked.end() : asked.fail(`ipld: could not find ${cid}`),
  )
  for (const name of [cid, from]) expect(text).not.toContain(name)
}, 20_000)
