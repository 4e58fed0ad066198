import { expect, test } from 'bun:test'
import type { RefsQuery } from '#src/relay/preload/refs.ts'
import { type ToyBlock, toyBlock, toyQuery } from '#test/unit/relay/preload/preload-fixture.ts'
import { type PlayedNode, PreloadScene } from '#test/unit/relay/preload/preload-scene.ts'

/** Blocks on their way: who is asked for what, and what is not pulled at all. */

const [leaf, other] = [toyBlock([], 'leaf'), toyBlock([], 'other')]
const root = toyBlock([leaf, other])
const blocks = { root, leaf, other }

function query(block: ToyBlock = root, options: Partial<RefsQuery> = {}): RefsQuery {
  return toyQuery(block, options)
}

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

test('a block that a backend wants by two CIDs is pulled once and given by both', () => {
  const scene = new PreloadScene()
  scene.call(query())
  const client = scene.client()
  const [node] = scene.nodes as [PlayedNode]
  node.want(root, asRaw(root))
  expect(client.told(blocks)).toEqual(['block root'])
  client.bring(root)
  expect(node.got()).toEqual([root.bytes, root.bytes])
  node.want(leaf)
  expect(client.told(blocks)).toEqual(['block leaf'])
})

test('one of two CIDs is taken back: the block is still pulled for the other', () => {
  const scene = new PreloadScene()
  scene.call(query())
  const client = scene.client()
  const [node] = scene.nodes as [PlayedNode]
  node.want(asRaw(root), root)
  node.cancel(asRaw(root))
  expect(client.told(blocks)).toEqual(['block root'])
  client.bring(root)
  expect(node.got()).toEqual([root.bytes])
})

test('a root that is wanted as if it had no links has them all the same', () => {
  const scene = new PreloadScene()
  scene.call(query())
  const client = scene.client()
  const [node] = scene.nodes as [PlayedNode]
  node.want(asRaw(root))
  client.told(blocks)
  client.bring(root)
  node.want(leaf)
  expect(client.told(blocks)).toEqual(['block leaf'])
})

/** The same block by a CID whose codec has no links. */
function asRaw(block: ToyBlock): ToyBlock {
  return { ...block, cid: Uint8Array.from([1, 0x55, ...block.cid]) }
}
