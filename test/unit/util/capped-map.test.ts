import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { CappedMap } from '#src/util/capped-map.ts'

test('the least recently touched entry is forgotten first', () => {
  const map = new CappedMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  expect(map.get('a')).toBe(1)
  map.set('c', 3)
  expect([map.peek('a'), map.peek('b'), map.peek('c')]).toEqual([1, undefined, 3])
  expect(map.peek('a')).toBe(1)
  map.set('d', 4)
  expect(map.peek('a')).toBeUndefined()
})

test('it never holds more than its capacity, and what it holds is what was set last', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer(), fc.boolean()), {
    maxLength: 100,
  })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5 }), steps, (capacity, list) => {
      const map = new CappedMap<number, number>(capacity)
      const last = new Map<number, number>()
      for (const [key, value, remove] of list) {
        if (remove) map.delete(key)
        else map.set(key, value)
        if (remove) last.delete(key)
        else last.set(key, value)
        expect(map.size).toBeLessThanOrEqual(capacity)
        expect([undefined, last.get(key)]).toContain(map.peek(key))
        if (!remove && capacity > 0) expect(map.peek(key)).toBe(value)
      }
    }),
  )
})

test('it forgets exactly what was touched least recently, however it is used', () => {
  const key = fc.integer({ min: 0, max: 12 })
  const steps = fc.array(fc.tuple(fc.constantFrom('set', 'get', 'peek', 'delete'), key), { maxLength: 400 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), steps, (capacity, list) => {
      const map = new CappedMap<number, number>(capacity)
      // The youngest last.
      let model: number[] = []
      for (const [step, key] of list) {
        const known = model.includes(key)
        if (step === 'set') {
          map.set(key, key)
          model = [...model.filter((each) => each !== key), key].slice(-capacity)
        } else if (step === 'delete') {
          expect(map.delete(key)).toBe(known)
          model = model.filter((each) => each !== key)
        } else {
          expect(step === 'get' ? map.get(key) : map.peek(key)).toBe(known ? key : undefined)
          if (step === 'get' && known) model = [...model.filter((each) => each !== key), key]
        }
        expect([...map.values()]).toEqual(model)
      }
    }),
    { numRuns: 300 },
  )
})
