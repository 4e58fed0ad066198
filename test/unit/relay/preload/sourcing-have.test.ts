import { expect, test } from 'bun:test'
import type { CidKey, MultihashKey } from '#src/bitswap/cid.ts'
import { Buffers } from '#src/relay/buffers.ts'
import { Counters } from '#src/relay/counters.ts'
import { type Account, Accounts } from '#src/relay/preload/accounts.ts'
import type { BackWant } from '#src/relay/preload/back-wants.ts'
import { Grants } from '#src/relay/preload/grants.ts'
import { Pull } from '#src/relay/preload/pull.ts'
import { Sourcing } from '#src/relay/preload/sourcing.ts'
import { Supplier } from '#src/relay/preload/supplier.ts'

const unlimited = {
  blocks: 1e6,
  blocksPerAddress: 1e6,
  blocksTotal: 1e6,
  bytes: 1e9,
  bytesPerAddress: 1e9,
  bytesTotal: 1e9,
  depth: 1e3,
}

test('who says HAVE is asked for the block after a stagger, not after the silence of one who was asked before', () => {
  let nowMs = 0
  const grants = new Grants(unlimited)
  const supplies = new Buffers(1e9, 1e9)
  const sourcing = new Sourcing({ clock: { now: () => nowMs }, counters: new Counters(), grants, supplies })
  const link = { wake: () => {} } as never
  const silent = new Supplier(link, supplies)
  const teller = new Supplier(link, supplies)
  teller.tellsPresence = true
  for (const each of [teller, silent]) sourcing.arrived(each, 'a')

  const root = { cid: 'root' as CidKey, multihash: 'root' as MultihashKey, codec: 0x55 }
  const accounts = new Accounts({ callsPerMinute: 600, callsPerAddress: 64, callsTotal: 1024 })
  const grant = grants.create(root, nowMs)
  grants.join(grant, accounts.begin('a', nowMs) as Account)
  const pull = new Pull({ ...root } as BackWant)
  pull.grants.add(grant)
  grant.pulls.add(pull)

  sourcing.advance(pull)
  expect([pull.asks.get(silent)?.kind, pull.asks.get(teller)?.kind]).toEqual(['block', 'have'])
  sourcing.presence(pull, teller, true)
  nowMs = 1_000
  sourcing.tick(nowMs)
  expect(pull.asks.get(teller)?.kind).toBe('block')
})
