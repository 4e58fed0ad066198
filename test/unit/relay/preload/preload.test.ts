import { expect, test } from 'bun:test'
import type { RefsQuery } from '#src/relay/preload/refs.ts'
import { type ToyBlock, texts, toyBlock, toyQuery } from '#test/unit/relay/preload/preload-fixture.ts'
import { PreloadScene } from '#test/unit/relay/preload/preload-scene.ts'

/** Calls: who is taken, what they hear, and how they end. */

const [leaf, other] = [toyBlock([], 'leaf'), toyBlock([], 'other')]
const root = toyBlock([leaf, other])
const blocks = { root, leaf, other }

function query(block: ToyBlock = root, options: Partial<RefsQuery> = {}): RefsQuery {
  return toyQuery(block, options)
}

test('a browser adds something: the backend gets it block by block, then the caller hears the end', () => {
  const scene = new PreloadScene()
  const client = scene.client()
  const call = scene.call(query())
  expect(scene.reached).toEqual(['home'])
  const [node] = scene.nodes
  node?.want(root)
  expect(client.told(blocks)).toEqual(['block root'])
  client.bring(root)
  expect(node?.got()).toEqual([root.bytes])
  node?.want(leaf, other)
  expect(client.told(blocks)).toEqual(['block leaf', 'block other'])
  client.bring(leaf, other)
  expect(node?.got()).toEqual([leaf.bytes, other.bytes])
  expect([call.accepted, call.end]).toEqual([false, undefined])
  node?.last.say('leaf', 'other')
  expect([call.accepted, call.woken.times > 0]).toEqual([true, true])
  node?.last.done()
  expect(call.end).toBeUndefined()
  expect(texts(call.read())).toEqual(['leaf', 'other'])
  expect(call.end).toEqual({ kind: 'done' })
  call.leave()
  client.leave()
  scene.pass(3_000)
  expect(scene.left).toEqual({})
  expect(scene.relay.counters.refsEnded.done).toBe(1)
  expect(scene.relay.counters.backWants).toEqual({ granted: 6, ignored: 0, refused: 0 })
})

test('2xx only once a backend said something or has it all: the head of its answer alone is not enough', () => {
  const scene = new PreloadScene()
  const call = scene.call(query())
  const { last } = scene.worker
  last.sink.lines([])
  expect(call.accepted).toBe(false)
  last.done()
  expect([call.accepted, call.end]).toEqual([true, { kind: 'done' }])
  const refused = scene.call(query())
  scene.worker.last.fail('merkledag: not found')
  expect([refused.accepted, refused.end]).toEqual([
    false,
    { kind: 'failed', reason: 'backend', message: 'merkledag: not found' },
  ])
})

test('calls of one query are one piece of work, each with the whole answer; other queries are others', () => {
  const scene = new PreloadScene()
  const first = scene.call(query())
  const { last } = scene.worker
  last.say('a', 'b')
  expect(texts(first.read())).toEqual(['a', 'b'])
  const second = scene.call(query(), 'elsewhere')
  expect([second.accepted, texts(second.read())]).toEqual([true, ['a', 'b']])
  scene.call(query(root, { unique: true }))
  expect(scene.nodes[0]?.refs.length).toBe(2)
  last.say('c')
  last.done()
  expect([first, second].map((call) => [texts(call.read()), call.end?.kind])).toEqual([
    [['c'], 'done'],
    [['c'], 'done'],
  ])
  const late = scene.call(query())
  expect(scene.nodes[0]?.refs.length).toBe(3)
  expect(late.accepted).toBe(false)
})

test('the last caller to leave ends the work at the backend, no other does', () => {
  const scene = new PreloadScene()
  const [one, two] = [scene.call(query()), scene.call(query())]
  const { last } = scene.worker
  one.leave()
  one.leave()
  expect(last.aborted).toBe(false)
  two.leave()
  expect(last.aborted).toBe(true)
  expect([scene.left, scene.relay.counters.refsEnded.abandoned]).toEqual([{}, 2])
})

test('a reader that does not read pauses the backend, until it reads or leaves', () => {
  const scene = new PreloadScene()
  const line = 'x'.repeat(1_000)
  const many = Array.from({ length: 300 }, () => line)
  const [slow, quick] = [scene.call(query()), scene.call(query())]
  const { last } = scene.worker
  expect(last.say(...many)).toBe(false)
  quick.read()
  expect(last.resumed).toBe(0)
  slow.read()
  expect(last.resumed).toBe(1)
  expect(last.say(...many)).toBe(false)
  quick.read()
  slow.leave()
  expect(last.resumed).toBe(2)
})

test('while a caller does not read, nobody takes the backend for stuck', () => {
  const scene = new PreloadScene(1, { waitMs: 5_000 })
  const call = scene.call(query())
  scene.worker.last.say(...Array.from({ length: 300 }, () => 'x'.repeat(1_000)))
  scene.pass(20_000)
  expect(call.read().length).toBe(300)
  expect(call.end).toBeUndefined()
  scene.pass(6_000)
  expect(call.end?.kind).toBe('failed')
})

test('nothing comes of it: it fails after the wait, and says whether a client was missing', () => {
  const scene = new PreloadScene(1, { waitMs: 5_000 })
  const [wanted, unwanted] = [scene.call(query()), scene.call(query(leaf))]
  scene.pass(2_000)
  scene.nodes[0]?.want(root)
  scene.pass(2_950)
  expect(unwanted.end).toBeUndefined()
  scene.pass(100)
  expect(unwanted.end).toMatchObject({ kind: 'failed', reason: 'no-backend' })
  expect(wanted.end).toBeUndefined()
  scene.pass(2_000)
  expect(wanted.end).toMatchObject({ kind: 'failed', reason: 'no-client' })
  expect([wanted.accepted, unwanted.accepted]).toEqual([false, false])
})

test("a caller's own time is over: it fails, the work goes on for the others", () => {
  const scene = new PreloadScene()
  const [hasty, patient] = [scene.call(query(), 'home', 1_000), scene.call(query())]
  scene.pass(1_000)
  expect(hasty.end).toMatchObject({ kind: 'failed', reason: 'timeout' })
  hasty.leave()
  scene.worker.last.done()
  expect(patient.end).toEqual({ kind: 'done' })
})

test('what is done in time is done, however late it is read', () => {
  const scene = new PreloadScene()
  const call = scene.call(query(), 'home', 1_000)
  scene.worker.last.say('a')
  scene.worker.last.done()
  scene.pass(5_000)
  expect([call.end, texts(call.read()), call.end?.kind]).toEqual([undefined, ['a'], 'done'])
})

test('floods of calls are refused, by address and in all, and what is refused leaves nothing', () => {
  const scene = new PreloadScene(1, { callsPerAddress: 5, callsTotal: 50 })
  const count = (from: (n: number) => string): Record<string, number> => {
    const outcomes: Record<string, number> = {}
    for (let n = 0; n < 1_000; n++) {
      const call = scene.tryCall(query(toyBlock([], `${from(n)} ${n}`)), from(n))
      const outcome = 'refused' in call ? call.refused : 'taken'
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    return outcomes
  }
  expect(count(() => 'one')).toEqual({ taken: 5, 'calls-per-address': 995 })
  expect(count((n) => `many ${n}`)).toEqual({ taken: 45, 'calls-total': 955 })
  expect([scene.relay.gauges.refs, scene.relay.gauges.grants]).toEqual([50, 50])
  scene.relay.stop()
  expect(scene.relay.gauges.grants).toBe(0)
  expect(scene.tryCall(query())).toMatchObject({ refused: 'draining' })
})

test('draining takes no more calls and finishes those that are there', () => {
  const scene = new PreloadScene()
  const call = scene.call(query())
  scene.relay.drain()
  expect(scene.tryCall(query())).toEqual({ refused: 'draining', retryAfterMs: 5_000 })
  expect(scene.relay.idle).toBe(false)
  scene.worker.last.done()
  expect(call.end).toEqual({ kind: 'done' })
  call.leave()
  expect(scene.relay.idle).toBe(true)
})
