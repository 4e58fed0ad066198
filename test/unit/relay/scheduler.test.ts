import { expect, test } from 'bun:test'
import type { Answers } from '#src/relay/answers.ts'
import { BlockCache } from '#src/relay/cache.ts'
import type { Client, ClientWant } from '#src/relay/client.ts'
import { Counters } from '#src/relay/counters.ts'
import type { Retrieval } from '#src/relay/retrieval.ts'
import { Scheduler } from '#src/relay/scheduler.ts'
import { multihash, newClient, wantOf } from '#test/unit/relay/fixture.ts'

/** A scheduler over a retrieval that has room for so many wants and notes whose they are. */
function underTest(): {
  scheduler: Scheduler
  started: ClientWant[]
  room: (n: number) => void
  cache: BlockCache
} {
  const started: ClientWant[] = []
  let room = 0
  const retrieval = {
    pendings: new Map(),
    get hasRoom(): boolean {
      return room > 0
    },
    want: (want: ClientWant) => {
      room--
      started.push(want)
    },
  } as unknown as Retrieval
  const answers = { block: (want: ClientWant) => started.push(want) } as unknown as Answers
  const cache = new BlockCache(1_000_000)
  const scheduler = new Scheduler({
    clock: { now: () => 0 },
    counters: new Counters(),
    cache,
    answers,
    retrieval,
  })
  const give = (n: number): void => {
    room = n
    scheduler.run()
  }
  return { scheduler, started, room: give, cache }
}

function waiting(scheduler: Scheduler, count: number, from = 0): Client {
  const client = newClient()
  for (let n = 0; n < count; n++) client.enqueue(wantOf(client, from + n, { have: true }))
  scheduler.serve(client)
  return client
}

function shares(clients: readonly Client[], started: readonly ClientWant[]): number[] {
  return clients.map((client) => started.filter((want) => want.client === client).length)
}

test('room that comes one place at a time goes round', () => {
  const { scheduler, started, room } = underTest()
  const clients = Array.from({ length: 10 }, (_, n) => waiting(scheduler, 100, n * 100))
  for (let n = 0; n < 50; n++) room(1)
  expect(shares(clients, started)).toEqual(new Array(10).fill(5))
})

test('room for many is shared in turns', () => {
  const { scheduler, started, room } = underTest()
  const clients = Array.from({ length: 10 }, (_, n) => waiting(scheduler, 1_000, n * 1_000))
  for (let n = 0; n < 20; n++) room(80)
  const each = shares(clients, started)
  expect(each.reduce((sum, share) => sum + share, 0)).toBe(1_600)
  expect(Math.max(...each) - Math.min(...each)).toBeLessThanOrEqual(16)
})

test('what is cached needs no room', () => {
  const { scheduler, started, cache } = underTest()
  for (let n = 0; n < 50; n++) cache.offer(multihash(n), new Uint8Array(10))
  const client = waiting(scheduler, 50)
  expect(shares([client], started)).toEqual([50])
  expect(scheduler.waiting).toBe(0)
})

test('a client that left is not served', () => {
  const { scheduler, started, room } = underTest()
  const client = waiting(scheduler, 5)
  scheduler.remove(client)
  room(10)
  expect(started).toEqual([])
})

test('a fault in one turn does not end all turns', () => {
  const { scheduler, started, room } = underTest()
  const broken = newClient()
  broken.enqueue(wantOf(broken, 1))
  broken.mayActivate = () => {
    throw new Error('fault')
  }
  expect(() => scheduler.serve(broken)).toThrow('fault')
  scheduler.remove(broken)
  const client = waiting(scheduler, 1)
  room(1)
  expect(shares([client], started)).toEqual([1])
})

test('a client out of bandwidth is passed over', () => {
  const { scheduler, started, room } = underTest()
  const limited = newClient(undefined, { bytesPerSecond: 1_000 })
  limited.byteBucket.take(5_000, 0)
  limited.enqueue(wantOf(limited, 1))
  scheduler.serve(limited)
  const other = waiting(scheduler, 3, 10)
  room(100)
  expect(shares([limited, other], started)).toEqual([0, 3])
})
