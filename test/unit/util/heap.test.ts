import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { Heap } from '#src/util/heap.ts'

test('items come out in order, whatever was put in and taken between', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer()), { maxLength: 200 }), (steps) => {
      const heap = new Heap<number>((a, b) => a < b)
      const model: number[] = []
      for (const step of steps) {
        if (step === null) expect(heap.pop()).toBe(model.shift())
        else {
          heap.push(step)
          model.push(step)
          model.sort((a, b) => a - b)
        }
        expect(heap.size).toBe(model.length)
        expect(heap.peek()).toBe(model[0])
      }
      heap.retain((item) => item % 2 === 0)
      expect(Array.from({ length: heap.size }, () => heap.pop())).toEqual(
        model.filter((item) => item % 2 === 0),
      )
    }),
  )
})
