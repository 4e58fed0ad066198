import { expect, test } from 'bun:test'
import { type CpuProfile, roomOf, selfTimeByRoom } from '../../../scripts/bench/rooms.ts'

const top = 'file:///somewhere'
const frame = (functionName: string, url = '', lineNumber = 0) => ({ functionName, url, lineNumber })

test.each([
  ['seal', `${top}/src/p2p/noise/noise-frames.ts`, 'crypto'],
  ['encodeAnswers', `${top}/src/bitswap/writer.ts`, 'codec'],
  ['wants', `${top}/src/bitswap/ledger.ts`, 'relay'],
  ['block', `${top}/src/relay/retrieval.ts`, 'relay'],
  ['flush', `${top}/src/p2p/tcp/socket-writer.ts`, 'sockets'],
  ['handleFrame', `${top}/node_modules/@chainsafe/libp2p-yamux/dist/src/muxer.js`, 'mux'],
  ['read', `${top}/node_modules/protons-runtime/dist/src/utils/utf8.js`, 'codec'],
  // A library's folder may be called as one of ours is.
  ['asUint8Array', `${top}/node_modules/uint8arrays/dist/src/util/as-uint8array.node.js`, 'libp2p'],
  ['_write', 'node:net', 'sockets'],
  ['(garbage collector)', '', 'gc'],
  ['(idle)', '', 'idle'],
])('%s of %s is in the room %s', (name, url, room) => {
  expect(roomOf(frame(name, url))).toBe(room)
})

test('native functions and modules of the runtime have no room of their own', () => {
  expect(roomOf(frame('set'))).toBeUndefined()
  expect(roomOf(frame('ok', 'node:assert'))).toBeUndefined()
})

/** root → relay → set; root → crypto → set; root → idle */
const nodes: CpuProfile['nodes'] = [
  { id: 1, callFrame: frame('(root)'), children: [2, 4, 6] },
  { id: 2, callFrame: frame('block', `${top}/src/relay/retrieval.ts`, 9), children: [3] },
  { id: 3, callFrame: frame('set') },
  { id: 4, callFrame: frame('seal', `${top}/src/p2p/noise/noise-frames.ts`), children: [5] },
  { id: 5, callFrame: frame('set') },
  { id: 6, callFrame: frame('(idle)') },
]

test('native time belongs to who called it', () => {
  const samples = [3, 3, 2, 5, 6, 6]
  const shares = selfTimeByRoom({ nodes, samples, timeDeltas: samples.map(() => 1000) })
  expect(shares.map(({ room, share, selfMs }) => [room, share, selfMs])).toEqual([
    ['relay', 0.75, 3],
    ['crypto', 0.25, 1],
  ])
  expect(shares[0]?.top).toEqual([
    { name: 'set ← relay/retrieval.ts', share: 0.5 },
    { name: 'block relay/retrieval.ts:10', share: 0.25 },
  ])
})

test('a sample after a long sleep counts no more than another', () => {
  const shares = selfTimeByRoom({ nodes, samples: [2, 4, 4], timeDeltas: [900_000, 1000, 1000] })
  expect(shares.map(({ room, share }) => [room, Math.round(share * 3)])).toEqual([
    ['crypto', 2],
    ['relay', 1],
  ])
})

test('only what was sampled within the window counts', () => {
  const profile = { nodes, samples: [2, 2, 4, 2], timeDeltas: [1e6, 1e6, 1e6, 1e6] }
  const shares = selfTimeByRoom(profile, { from: 2.5, to: 3.5 })
  expect(shares.map(({ room }) => room)).toEqual(['crypto'])
})
