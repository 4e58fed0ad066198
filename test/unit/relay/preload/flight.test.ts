import { expect, test } from 'bun:test'
import type { RefsQuery } from '#src/relay/preload/refs.ts'
import { type ToyBlock, texts, toyBlock, toyQuery } from '#test/unit/relay/preload/preload-fixture.ts'
import { PreloadScene } from '#test/unit/relay/preload/preload-scene.ts'

/** Backends that do a refs: which one, what follows when it fails, and copies. */

const [leaf, other] = [toyBlock([], 'leaf'), toyBlock([], 'other')]
const root = toyBlock([leaf, other])

function query(block: ToyBlock = root, options: Partial<RefsQuery> = {}): RefsQuery {
  return toyQuery(block, options)
}

test('a lost backend is replaced: no line twice, and callers that come then hear nothing before it accepts', () => {
  const scene = new PreloadScene(2)
  const call = scene.call(query())
  scene.pass(1_050)
  const first = scene.worker
  first.last.say('a', 'b')
  expect(texts(call.read())).toEqual(['a', 'b'])
  first.last.lose()
  const second = scene.worker
  expect(second).not.toBe(first)
  const joined = scene.call(query())
  expect([call.accepted, joined.accepted, joined.read().length]).toEqual([true, false, 0])
  second.last.say('a')
  expect([call.read().length, joined.accepted, texts(joined.read())]).toEqual([0, true, ['a', 'b']])
  second.last.say('b', 'c')
  second.last.done()
  expect([texts(call.read()), texts(joined.read())]).toEqual([['c'], ['c']])
  expect([call.end?.kind, joined.end?.kind]).toEqual(['done', 'done'])
  expect(scene.troubles.length).toBe(1)
})

test('who comes after a lost backend is not told 2xx for what then fails', () => {
  const scene = new PreloadScene(2, { waitMs: 5_000 })
  const call = scene.call(query())
  scene.pass(1_050)
  const first = scene.worker
  first.last.say('a')
  expect(call.accepted).toBe(true)
  first.last.lose()
  const joined = scene.call(query())
  scene.worker.last.lose()
  expect([call.end, joined.end]).toEqual([undefined, undefined])
  scene.pass(5_100)
  expect([call.read().length, call.end]).toEqual([
    1,
    { kind: 'failed', reason: 'no-backend', message: expect.any(String) },
  ])
  expect([joined.accepted, joined.read().length, joined.end?.kind]).toEqual([false, 0, 'failed'])
})

test('two backends that say different things, or one less than the other, are no success', () => {
  for (const [said, ends] of [
    ['x', 'says'],
    ['a', 'stops'],
  ] as const) {
    const scene = new PreloadScene(2)
    const call = scene.call(query())
    scene.pass(1_050)
    scene.worker.last.say('a', 'b')
    scene.worker.last.lose()
    const { last } = scene.worker
    last.say(said)
    if (ends === 'stops') last.done()
    call.read()
    expect(call.end).toMatchObject({ kind: 'failed', reason: 'backend' })
  }
})

test('a failure is news for operators only where another backend does not share it', () => {
  const outcomeOf = (end: 'fail' | 'done') => {
    const scene = new PreloadScene(2)
    const call = scene.call(query())
    scene.pass(1_050)
    const first = scene.worker
    first.last.fail('no such link')
    expect(scene.worker).not.toBe(first)
    scene.worker.last[end]()
    return [call.end?.kind, scene.troubles]
  }
  expect(outcomeOf('fail')).toEqual(['failed', []])
  expect(outcomeOf('done')).toEqual(['done', [expect.stringContaining('lost: no such link')]])
})

test('a backend that says that it failed is followed by one other', () => {
  const scene = new PreloadScene(3)
  const call = scene.call(query())
  scene.pass(1_050)
  scene.worker.last.fail('one')
  scene.worker.last.fail('two')
  expect(call.end).toEqual({ kind: 'failed', reason: 'backend', message: 'two' })
  expect(scene.nodes.filter(({ refs }) => refs.length > 0).length).toBe(2)
})

test('a backend that neither wants the root nor says a word is replaced', () => {
  const scene = new PreloadScene(2)
  scene.call(query())
  scene.pass(1_050)
  const silent = scene.worker
  scene.pass(9_900)
  expect(silent.last.aborted).toBe(false)
  scene.pass(200)
  expect([silent.last.aborted, scene.worker === silent]).toEqual([true, false])
})

test('a backend that is cut off without a word is replaced, and may try again once it was started anew', () => {
  const scene = new PreloadScene(2)
  const call = scene.call(query())
  scene.pass(1_050)
  const first = scene.worker
  first.last.say('a')
  first.down()
  scene.pass(9_900)
  expect(first.last.aborted).toBe(false)
  scene.pass(200)
  expect(first.last.aborted).toBe(true)
  const second = scene.worker
  first.up()
  scene.pass(50)
  second.last.lose()
  expect([scene.worker, first.refs.length]).toEqual([first, 2])
  first.last.say('a')
  first.last.done()
  expect([texts(call.read()), call.end?.kind]).toEqual([['a'], 'done'])
})

test('who was told that it is under way waits for a backend that comes back', () => {
  const scene = new PreloadScene()
  const call = scene.call(query())
  const [node] = scene.nodes
  node?.last.say('a')
  node?.down()
  node?.last.lose()
  scene.pass(20_000)
  node?.up()
  scene.pass(50)
  expect([node?.refs.length, call.end]).toEqual([2, undefined])
  node?.last.say('a', 'b')
  node?.last.done()
  expect([texts(call.read()), call.end?.kind]).toEqual([['a', 'b'], 'done'])
})

test('no backend: refused before, failed when the last one is lost', () => {
  const scene = new PreloadScene()
  const call = scene.call(query())
  scene.worker.last.lose()
  expect([call.accepted, call.end]).toMatchObject([false, { reason: 'no-backend' }])
  scene.nodes[0]?.down()
  expect(scene.tryCall(query())).toEqual({ refused: 'no-backend', retryAfterMs: 5_000 })
})

test('the pool is asked who has the root: who has it is told to do it', () => {
  for (const holder of [0, 1, 2]) {
    const scene = new PreloadScene(3)
    scene.call(query())
    for (let n = 0; n < 3; n++) {
      for (const [at, node] of scene.nodes.entries()) node.answer(at === holder ? [root] : [])
    }
    expect(scene.nodes.map(({ refs }) => refs.length)).toEqual([0, 1, 2].map((n) => (n === holder ? 1 : 0)))
  }
})

test('copies: further backends repeat it, after the caller heard the end', () => {
  const scene = new PreloadScene(3, { replicas: 2 })
  const call = scene.call(query())
  scene.pass(1_050)
  const first = scene.worker
  first.last.done()
  expect(call.end).toEqual({ kind: 'done' })
  call.leave()
  const second = scene.worker
  second.last.say('a')
  second.last.fail('full')
  const third = scene.worker
  third.last.done()
  expect(new Set([first, second, third]).size).toBe(3)
  expect([scene.relay.counters.copies, scene.left]).toEqual([{ made: 1, failed: 0 }, {}])
})

test('a copy that comes to a stop is made by another one', () => {
  const scene = new PreloadScene(3, { replicas: 2, waitMs: 5_000 })
  scene.call(query())
  scene.pass(1_050)
  scene.worker.last.done()
  const hangs = scene.worker
  hangs.last.say('a')
  scene.pass(5_100)
  expect(hangs.last.aborted).toBe(true)
  scene.worker.last.done()
  expect(scene.relay.counters.copies).toEqual({ made: 1, failed: 0 })
})

test('a copy that nobody can make is counted and logged', () => {
  const scene = new PreloadScene(2, { replicas: 3, waitMs: 5_000 })
  scene.call(query()).leave
  scene.pass(1_050)
  scene.worker.last.done()
  scene.worker.want(root)
  scene.pass(5_100)
  expect(scene.relay.counters.copies).toEqual({ made: 0, failed: 2 })
  expect(scene.troubles.at(-1)).toContain('no-copy')
})

test('nothing takes longer than it may, copies included', () => {
  const scene = new PreloadScene(2, { ageMs: 10_000, replicas: 2 })
  const call = scene.call(query())
  scene.pass(1_050)
  const { last } = scene.worker
  for (let n = 0; n < 10; n++) {
    expect(last.aborted).toBe(n > 8)
    last.say(`${n}`)
    scene.pass(1_000)
  }
  call.read()
  expect(call.end).toMatchObject({ kind: 'failed', reason: 'timeout' })
  const copied = scene.call(query(leaf))
  scene.pass(1_050)
  scene.worker.last.done()
  expect(copied.end).toEqual({ kind: 'done' })
  const copying = scene.worker
  for (let n = 0; n < 10; n++) {
    copying.last.say(`${n}`)
    scene.pass(1_000)
  }
  expect([copying.last.aborted, scene.relay.gauges.grants]).toEqual([true, 0])
})
