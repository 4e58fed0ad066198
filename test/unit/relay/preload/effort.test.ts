import { expect, test } from 'bun:test'
import { Backend } from '#src/relay/backend.ts'
import { Buffers } from '#src/relay/buffers.ts'
import { Effort } from '#src/relay/preload/effort.ts'
import type { RefsQuery, RefsResult, RefsSink } from '#src/relay/preload/refs.ts'
import { cidKey, multihash } from '#test/unit/relay/fixture.ts'

const whole: RefsQuery = {
  arg: 'bafy',
  root: { cid: cidKey(1), multihash: multihash(1), codec: 0x70 },
  recursive: true,
  unique: false,
  edges: false,
  maxDepth: -1,
  format: '',
}

/** An effort whose backend keeps what it fetched as `failure` says, at once. */
function effortOf(query: RefsQuery, failure: string | undefined) {
  const seen = { kept: 0, results: [] as RefsResult[] }
  let sink: RefsSink | undefined
  const rpc = {
    refs: (_query: RefsQuery, given: RefsSink) => {
      sink = given
      return { resume() {}, abort() {} }
    },
    keep: (_root: RefsQuery['root'], done: (failure: string | undefined) => void) => {
      seen.kept++
      done(failure)
      return () => {}
    },
  }
  const backend = new Backend('a', 1, rpc, new Buffers(1e6, 1e6))
  new Effort(backend, query, { lines: () => true, ended: (result) => seen.results.push(result) }, 0)
  sink?.ended({ kind: 'done' })
  return seen
}

test('what was fetched whole is kept before it is done', () => {
  expect(effortOf(whole, undefined)).toEqual({ kept: 1, results: [{ kind: 'done' }] })
})

test('what could not be kept is not done', () => {
  expect(effortOf(whole, 'disk full').results).toEqual([
    { kind: 'lost', reason: 'fetched, but not kept: disk full' },
  ])
})

test.each([{ recursive: false }, { maxDepth: 2 }, { arg: '/ipfs/bafy/a' }])(
  'of %j only a part was fetched: the root is not kept',
  (part) => {
    expect(effortOf({ ...whole, ...part }, undefined)).toEqual({ kept: 0, results: [{ kind: 'done' }] })
  },
)
