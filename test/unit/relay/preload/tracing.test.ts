import { expect, test } from 'bun:test'
import { Grants } from '#src/relay/preload/grants.ts'
import type { PoolReader, Wanted } from '#src/relay/preload/pool-reader.ts'
import { Tracing } from '#src/relay/preload/tracing.ts'
import { multihash } from '#test/unit/relay/fixture.ts'
import { limits, rootOf } from '#test/unit/relay/preload/preload-fixture.ts'

/** Notes what is read; the test answers. */
class NotedReader {
  readonly reads: { key: string; cid: string; done: (found: boolean) => void }[] = []
  size = 0
  stopped = 0

  read(wanted: Wanted, _kind: string, _timeoutMs: number, done: (found: boolean) => void): () => void {
    this.size++
    this.reads.push({
      key: wanted.multihash,
      cid: wanted.cid,
      done: (found) => {
        this.size--
        done(found)
      },
    })
    return () => {
      this.size--
      this.stopped++
    }
  }
}

function begin(links: number) {
  const grants = new Grants(limits())
  const grant = grants.create(rootOf(0), 0)
  const children = Array.from({ length: links }, (_, n) => multihash(n + 1))
  const reader = new NotedReader()
  return { grants, grant, children, reader, tracing: new Tracing(grant, reader as unknown as PoolReader) }
}

test('it reads what is covered and was not seen, by multihash, each once in a while', () => {
  const { grants, grant, children, reader, tracing } = begin(2)
  tracing.tick(0)
  expect(reader.reads.map(({ key }) => key)).toEqual([multihash(0)])
  expect(reader.reads[0]?.cid).toBe(`\x01\x55${multihash(0)}`)
  tracing.tick(50)
  expect(reader.reads.length).toBe(1)
  grants.extend(grant, multihash(0), children)
  reader.reads[0]?.done(true)
  tracing.tick(100)
  expect(reader.reads.slice(1).map(({ key }) => key)).toEqual(children)
})

test('what the pool had not is asked for again after a while, behind what is new', () => {
  const { grants, grant, children, reader, tracing } = begin(2)
  tracing.tick(0)
  reader.reads[0]?.done(false)
  tracing.tick(4_900)
  expect(reader.reads.length).toBe(1)
  tracing.tick(5_000)
  expect(reader.reads.length).toBe(2)
  grants.extend(grant, multihash(0), children)
  tracing.tick(5_050)
  expect(reader.reads.slice(2).map(({ key }) => key)).toEqual(children)
})

test('it has few questions open at once, and all tracings together not many more', () => {
  const { grants, grant, children, reader, tracing } = begin(1_000)
  grants.extend(grant, multihash(0), children)
  tracing.tick(0)
  expect(reader.reads.length).toBe(8)
  for (const { done } of reader.reads.slice(0, 3)) done(false)
  tracing.tick(50)
  expect(reader.reads.length).toBe(11)
  reader.size = 32
  for (const { done } of reader.reads.slice(3, 5)) done(false)
  reader.size = 32
  tracing.tick(100)
  expect(reader.reads.length).toBe(11)
})

test('it reads no more than so much for one grant, however much the pool has', () => {
  const { grants, grant, children, reader, tracing } = begin(5_000)
  grants.extend(grant, multihash(0), children)
  for (let nowMs = 0; nowMs < 100_000; nowMs += 50) {
    tracing.tick(nowMs)
    for (const { done } of reader.reads.splice(0)) done(false)
    if (nowMs < 50) expect(reader.size).toBe(0)
  }
  const before = grant.unread.size
  tracing.tick(1e9)
  expect([reader.reads.length, before]).toEqual([0, 5_000])
})

test('what is stopped takes its questions back', () => {
  const { grants, grant, children, reader, tracing } = begin(100)
  grants.extend(grant, multihash(0), children)
  tracing.tick(0)
  tracing.stop()
  expect([reader.stopped, reader.size]).toEqual([8, 0])
})
