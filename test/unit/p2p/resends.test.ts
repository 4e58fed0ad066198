import { expect, test } from 'bun:test'
import { type Keeper, Resends } from '#src/p2p/resends.ts'

class Owner implements Keeper {
  keeps = true
  readonly #resends: Resends

  constructor(resends: Resends) {
    this.#resends = resends
  }

  letGo(): void {
    this.keeps = false
    this.#resends.remove(this)
  }
}

test('however many keep something, it is bounded, and the eldest let go first', () => {
  const resends = new Resends(1_000)
  const owners = Array.from({ length: 10_000 }, () => new Owner(resends))
  for (const [i, owner] of owners.entries()) {
    resends.add(owner, 10, i)
    expect(resends.bytes).toBeLessThanOrEqual(1_000)
  }
  expect(owners.filter(({ keeps }) => keeps)).toEqual(owners.slice(-100))
})

test('who keeps a message in place of another counts once, as the youngest', () => {
  const resends = new Resends(100)
  const [first, second, third] = [new Owner(resends), new Owner(resends), new Owner(resends)]
  resends.add(first, 40, 0)
  resends.add(second, 40, 1)
  resends.add(first, 50, 2)
  expect(resends.bytes).toBe(90)
  resends.add(third, 20, 3)
  expect([first.keeps, second.keeps, third.keeps, resends.bytes]).toEqual([true, false, true, 70])
})

test('what is larger than all there may be is not kept', () => {
  const resends = new Resends(100)
  const [small, large] = [new Owner(resends), new Owner(resends)]
  resends.add(small, 50, 0)
  resends.add(large, 101, 1)
  expect([large.keeps, resends.bytes]).toEqual([false, 0])
})

test('nothing is kept for longer than a reset may be late', () => {
  const resends = new Resends(1_000)
  const [old, young] = [new Owner(resends), new Owner(resends)]
  resends.add(old, 10, 0)
  resends.add(young, 20, 1_000)
  resends.sweep(15_000)
  expect(resends.bytes).toBe(30)
  resends.sweep(15_001)
  expect([old.keeps, young.keeps, resends.bytes]).toEqual([false, true, 20])
})

test('removing what is not there changes nothing', () => {
  const resends = new Resends(1_000)
  const [kept, other] = [new Owner(resends), new Owner(resends)]
  resends.add(kept, 10, 0)
  resends.remove(other)
  resends.remove(kept)
  resends.remove(kept)
  expect(resends.bytes).toBe(0)
})
