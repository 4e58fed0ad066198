import { expect, test } from 'bun:test'
import { hash32, rendezvous } from '#src/util/rendezvous.ts'

const names = ['a', 'b', 'c', 'd']
const same = (name: string): string => name

test('the order of a key is the same for every observer', () => {
  const shuffled = ['d', 'b', 'a', 'c']
  for (let key = 0; key < 100; key++) {
    expect(rendezvous(`k${key}`, shuffled, same)).toEqual(rendezvous(`k${key}`, names, same))
  }
})

test('keys spread evenly, and losing a name moves only its own', () => {
  const counts = new Map<string, number>()
  for (let key = 0; key < 4_000; key++) {
    const [first, second] = rendezvous(`\x12\x20${key}`, names, same) as [string, string]
    counts.set(first, (counts.get(first) ?? 0) + 1)
    const without = rendezvous(`\x12\x20${key}`, names.slice(1), same)[0]
    expect(without).toBe(first === 'a' ? second : first)
  }
  for (const name of names) expect(counts.get(name)).toBeGreaterThan(850)
})

test('nothing and one name are no matter for a hash', () => {
  expect(rendezvous('k', [], same)).toEqual([])
  expect(rendezvous('k', ['a'], same)).toEqual(['a'])
})

test('hash32 is a 32-bit number that the seed changes', () => {
  expect(hash32('a')).not.toBe(hash32('a', 1))
  expect(hash32('x'.repeat(1_000))).toBeLessThan(2 ** 32)
  expect(hash32('x'.repeat(1_000))).toBeGreaterThanOrEqual(0)
})
