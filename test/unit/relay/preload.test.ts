import { expect, test } from 'bun:test'
import { type CidKey, codecs } from '#src/bitswap/cid.ts'
import type { RefsQuery } from '#src/relay/refs.ts'
import { queryOf, type ToyBlock, texts, toyBlock } from '#test/unit/relay/preload-fixture.ts'
import { type PlayedNode, PreloadScene } from '#test/unit/relay/preload-scene.ts'

const [leaf, other] = [toyBlock([], 'leaf'), toyBlock([], 'other')]
const root = toyBlock([leaf, other])
const blocks = { root, leaf, other }

function query(block: ToyBlock = root, options: Partial<RefsQuery> = {}): RefsQuery {
  const cid = String.fromCharCode(...block.cid) as CidKey
  return { ...queryOf(0, options), arg: block.key, root: { cid, multihash: block.key, codec: codecs.dagPb } }
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

test('a client that comes in time is served; what others want besides is not asked of it', () => {
  const scene = new PreloadScene(2)
  scene.call(query())
  scene.pass(1_050)
  scene.worker.want(root, toyBlock([], 'private'))
  scene.pass(9_000)
  expect(scene.relay.expects('home')).toBe(true)
  const [stranger, client] = [scene.client('elsewhere'), scene.client()]
  expect([stranger.told(blocks), client.told(blocks)]).toEqual([[], ['block root']])
})

test('a want from before the call is known: backends say each once', () => {
  const scene = new PreloadScene()
  const client = scene.client()
  scene.nodes[0]?.want(root)
  expect(client.told(blocks)).toEqual([])
  scene.call(query())
  expect(client.told(blocks)).toEqual(['block root'])
})

test('two queries for one root, the first goes: what is pulled goes on for the second', () => {
  const scene = new PreloadScene()
  const first = scene.call(query(), 'first')
  scene.nodes[0]?.want(root)
  scene.call(query(root, { unique: true }), 'second')
  const [early, late] = [scene.client('first'), scene.client('second')]
  expect(early.told(blocks)).toEqual(['block root'])
  first.leave()
  expect([early.told(blocks), late.told(blocks)]).toEqual([['cancel root'], ['block root']])
  late.bring(root)
  scene.nodes[0]?.want(leaf)
  expect(late.told(blocks)).toEqual(['block leaf'])
})

test('one of two callers leaves: clients at its address are not asked any more', () => {
  const scene = new PreloadScene()
  const first = scene.call(query(), 'first')
  scene.call(query(), 'second')
  const [early, late] = [scene.client('first'), scene.client('second')]
  scene.nodes[0]?.want(root)
  scene.pass(300)
  expect([early.told(blocks), late.told(blocks)]).toEqual([['block root'], ['block root']])
  first.leave()
  expect([early.told(blocks), late.told(blocks)]).toEqual([['cancel root'], []])
})

test('what was wanted under a call that is gone is still wanted under the next', () => {
  const scene = new PreloadScene()
  const client = scene.client()
  const first = scene.call(query())
  scene.nodes[0]?.want(root)
  first.leave()
  expect(client.told(blocks)).toEqual([])
  expect(scene.relay.gauges.pulls).toBe(0)
  scene.call(query())
  expect(client.told(blocks)).toEqual(['block root'])
})

test('a backend that wants again what it was given, and does not take that back, gets it again', () => {
  const scene = new PreloadScene()
  const client = scene.client()
  scene.call(query(leaf))
  const [node] = scene.nodes
  node?.want(leaf)
  client.told(blocks)
  client.bring(leaf)
  node?.want(leaf)
  scene.pass(1_900)
  expect(client.told(blocks)).toEqual([])
  scene.pass(200)
  expect(client.told(blocks)).toEqual(['block leaf'])
})

test('with nobody to bring it, the pool is asked before anybody waits', () => {
  const scene = new PreloadScene(2)
  scene.call(query(leaf))
  scene.pass(1_050)
  const { worker } = scene
  const holder = scene.nodes.find((node) => node !== worker)
  for (const node of scene.nodes) node.answer()
  worker.want(leaf)
  worker.answer()
  holder?.answer([leaf])
  expect(worker.got()).toEqual([leaf.bytes])
})

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

test('a flood of links, or of bytes, ends the call that caused it and no other', () => {
  const scene = new PreloadScene(1, { blocks: 2 })
  const client = scene.client()
  const [large, small] = [scene.call(query()), scene.call(query(leaf))]
  scene.nodes[0]?.want(root, leaf)
  client.bring(root)
  scene.pass(50)
  expect([large.end, small.end]).toMatchObject([{ kind: 'failed', reason: 'limit' }, undefined])
  expect(scene.relay.gauges.grantedBlocks).toBe(1)
})

test('wrong bytes are counted, and after some a client is not asked any more', () => {
  const scene = new PreloadScene()
  const client = scene.client()
  scene.call(query())
  scene.nodes[0]?.want(root)
  for (let n = 0; n < 8; n++) client.bringWrong(root)
  client.bring(root)
  expect(scene.relay.counters.refusedClient).toMatchObject({ 'wrong-block': 8, 'unwanted-block': 1 })
  expect(scene.nodes[0]?.got()).toEqual([])
  const honest = scene.client()
  scene.pass(300)
  expect(honest.told(blocks)).toEqual(['block root'])
})

test('the root of an identity CID is in it: what it links to is covered at once', () => {
  const scene = new PreloadScene()
  const client = scene.client()
  const inline = query()
  scene.call({ ...inline, root: { ...inline.root, inline: root.bytes } })
  scene.nodes[0]?.want(leaf)
  expect(client.told(blocks)).toEqual(['block leaf'])
})

test('what the pool has already is read from there: the grant follows it to what the backend wants', () => {
  const scene = new PreloadScene()
  const client = scene.client()
  scene.call(query())
  const [node] = scene.nodes
  node?.want(leaf)
  scene.pass(500)
  node?.answer([root])
  expect(client.told(blocks)).toEqual([])
  scene.pass(100)
  node?.answer([root])
  expect(client.told(blocks)).toEqual(['block leaf'])
  client.bring(leaf)
  expect(node?.got()).toEqual([leaf.bytes])
})

test('what another backend has is not pulled from clients again, what is cached is asked of nobody', () => {
  const scene = new PreloadScene(2, { replicas: 2 })
  const client = scene.client()
  scene.call(query(leaf))
  scene.pass(1_050)
  const first = scene.worker
  first.want(leaf)
  expect(client.told(blocks)).toEqual(['block leaf'])
  client.bring(leaf)
  first.last.done()
  const second = scene.worker
  second.want(leaf)
  first.answer([leaf])
  expect([second.got(), client.told(blocks)]).toEqual([[leaf.bytes], []])
  const cached = new PreloadScene(2, {}, 2 ** 20)
  const owner = cached.client()
  for (const options of [{}, { unique: true }]) {
    cached.call(query(leaf, options))
    cached.pass(1_050)
  }
  const [one, two] = cached.nodes
  one?.want(leaf)
  expect(owner.told(blocks)).toEqual(['block leaf'])
  owner.bring(leaf)
  two?.want(leaf)
  expect([two?.got(), owner.told(blocks)]).toEqual([[leaf.bytes], []])
})

test.each([
  ['the cache', 2 ** 20],
  ['the pool', 0],
])('while a backend does not take what it was given, it is given no more from %s', (_, cacheBytes) => {
  const scene = new PreloadScene(2, { bufferBytes: 1_000 }, cacheBytes)
  const [first, second] = ['1', '2'].map((digit) => toyBlock([], digit.repeat(2_000))) as [ToyBlock, ToyBlock]
  const [holder, slow] = scene.nodes as [PlayedNode, PlayedNode]
  const client = scene.client()
  for (const block of [first, second]) scene.call(query(block))
  scene.pass(1_050)
  for (const node of scene.nodes) node.answer()
  holder.want(first)
  client.bring(first)
  expect(holder.got()).toEqual([first.bytes])
  slow.want(second)
  client.bring(second)
  const { supplyBytes } = scene.relay.gauges
  slow.want(first)
  scene.pass(100)
  expect(scene.relay.gauges.supplyBytes).toBe(supplyBytes)
  expect(holder.asked()).toEqual([])
  expect(slow.got()).toEqual([second.bytes])
  scene.pass(50)
  holder.answer([first])
  expect(slow.got()).toEqual([first.bytes])
})

test('a block for a backend is offered to those who look for it as well', () => {
  const scene = new PreloadScene()
  const [client, reader] = [scene.client(), scene.client('elsewhere')]
  const wants = [{ cid: leaf.cid, priority: 1, cancel: false, have: false, sendDontHave: false }]
  reader.peer.receive({ full: false, wants, blocks: [], presences: [] })
  scene.nodes[0]?.answer()
  scene.call(query(leaf))
  scene.nodes[0]?.want(leaf)
  client.bring(leaf)
  expect(scene.relay.counters.wantsEnded.block).toBe(1)
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
