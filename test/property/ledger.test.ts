import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { ParsedCid } from '#src/bitswap/cid.ts'
import { Ledger, type LedgerChanges, type Want } from '#src/bitswap/ledger.ts'
import type { WantEntry } from '#src/bitswap/message.ts'

/** The ledger against a model of a few lines: a map from CID to what is wanted of it. */

interface Wanted extends Want {
  told: boolean
}

const capacity = 8

const entries = fc.array(
  fc.record({
    name: fc.integer({ min: 0, max: 14 }),
    priority: fc.integer({ min: 0, max: 9 }),
    cancel: fc.boolean(),
    have: fc.boolean(),
    sendDontHave: fc.boolean(),
  }),
  { maxLength: 15 },
)
const messages = fc.array(fc.record({ full: fc.boolean(), entries, answered: fc.option(fc.nat(14)) }), {
  maxLength: 12,
})

function cidOf(name: number): Uint8Array {
  // One that is no CID, one that is an identity CID, and CIDv0s.
  if (name === 13) return Uint8Array.from([9, 9])
  if (name === 14) return Uint8Array.from([1, 0x55, 0, 2, 1, 2])
  return Uint8Array.from([0x12, 0x20, ...new Array<number>(32).fill(name)])
}

class Changes implements LedgerChanges<Wanted> {
  readonly log: string[] = []
  create(entry: WantEntry, cid: ParsedCid): Wanted {
    const { priority, sendDontHave } = entry
    return { cid: cid.key, multihash: cid.multihash, block: !entry.have, priority, sendDontHave, told: false }
  }
  added(want: Wanted): void {
    this.log.push(`added ${nameOf(want)}`)
  }
  repeated(want: Wanted, upgraded: boolean): void {
    this.log.push(`repeated ${nameOf(want)} ${upgraded}`)
  }
  cancelled(want: Wanted): void {
    this.log.push(`cancelled ${nameOf(want)}`)
  }
  makeRoom(): boolean {
    return false
  }
  refused(reason: string, entry: WantEntry): void {
    this.log.push(`refused ${entry.cid.at(-1)} ${reason}`)
  }
}

function nameOf(want: Wanted): number {
  return want.cid.charCodeAt(33)
}

test('the ledger does as its model', () => {
  fc.assert(
    fc.property(messages, (steps) => {
      const tally = { wants: 0 }
      const ledger = new Ledger<Wanted>(capacity, tally)
      const changes = new Changes()
      const model = new Map<number, { block: boolean; priority: number; sendDontHave: boolean }>()
      const kept = new Map<number, Wanted>()
      const created = changes.create.bind(changes)
      changes.create = (entry, cid) => {
        const want = created(entry, cid)
        kept.set(nameOf(want), want)
        return want
      }
      for (const { full, entries: list, answered } of steps) {
        const expected: string[] = []
        const named = new Set<number>()
        for (const { name, cancel, have, priority, sendDontHave } of list) {
          const known = model.get(name)
          if (name > 12) {
            if (!cancel)
              expected.push(`refused ${cidOf(name).at(-1)} ${name === 13 ? 'bad-cid' : 'identity-cid'}`)
          } else if (cancel) {
            if (model.delete(name)) expected.push(`cancelled ${name}`)
          } else {
            named.add(name)
            if (known !== undefined) {
              expected.push(`repeated ${name} ${!have && !known.block}`)
              model.set(name, { block: known.block || !have, priority, sendDontHave })
            } else if (model.size >= capacity) expected.push(`refused ${name} too-many-wants`)
            else {
              expected.push(`added ${name}`)
              model.set(name, { block: !have, priority, sendDontHave })
            }
          }
        }
        if (full) {
          for (const name of [...model.keys()]) {
            if (named.has(name)) continue
            model.delete(name)
            expected.push(`cancelled ${name}`)
          }
        }
        changes.log.length = 0
        const wants = list.map(({ name, ...entry }) => ({ ...entry, cid: cidOf(name) }))
        ledger.apply({ full, wants, blocks: [], presences: [] }, changes)
        expect(changes.log).toEqual(expected)
        const done = answered === null ? undefined : kept.get(answered)
        if (done !== undefined && ledger.has(done)) {
          ledger.remove(done)
          ledger.remove(done)
          model.delete(answered as number)
        }
        expect(ledger.size).toBe(model.size)
        expect(tally.wants).toBe(model.size)
        for (const [name, want] of model) expect(kept.get(name)).toMatchObject(want)
      }
      expect(ledger.clear().length).toBe(model.size)
      expect([ledger.size, tally.wants]).toEqual([0, 0])
    }),
    { numRuns: 500 },
  )
})

test('a full ledger takes a want where room can be made', () => {
  const ledger = new Ledger<Wanted>(1, { wants: 0 })
  const changes = new Changes()
  const kept: Wanted[] = []
  changes.added = (want) => kept.push(want)
  changes.makeRoom = () => {
    ledger.remove(kept[0] as Wanted)
    return true
  }
  const entry = { priority: 1, cancel: false, have: false, sendDontHave: true }
  const wants = [1, 2].map((name) => ({ ...entry, cid: cidOf(name) }))
  ledger.apply({ full: false, wants, blocks: [], presences: [] }, changes)
  expect(kept.map(nameOf)).toEqual([1, 2])
  expect(ledger.size).toBe(1)
})
