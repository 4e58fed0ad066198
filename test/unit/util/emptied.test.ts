import { edenGC, fullGC } from 'bun:jsc'
import { expect, test } from 'bun:test'
import { emptied } from '#src/util/emptied.ts'

test('a list is empty and the same, unless it was long', () => {
  const short = [1, 2, 3]
  expect([emptied(short) === short, short.length]).toEqual([true, 0])
  const long = new Array<number>(5_000).fill(1)
  expect([emptied(long) === long, emptied(long).length]).toEqual([false, 0])
})

/** Returns how many of 200 objects, each put into a list that is old by then and emptied after, outlive a young collection. */
async function outliving(empty: <T>(list: T[]) => T[]): Promise<number> {
  const lists: object[][] = Array.from({ length: 200 }, () => [])
  fullGC()
  const refs: WeakRef<object>[] = []
  const fill = (): void => {
    for (const [i, list] of lists.entries()) {
      const item = { bytes: new Uint8Array(64) }
      refs.push(new WeakRef(item))
      list.push(item)
      lists[i] = empty(list)
    }
  }
  fill()
  await new Promise((resolve) => setTimeout(resolve, 5))
  edenGC()
  return refs.filter((each) => each.deref() !== undefined).length
}

test('what was in it outlives no young collection, as it does in one that was replaced', async () => {
  expect(await outliving(emptied)).toBeLessThan(20)
  expect(await outliving(() => [])).toBeGreaterThan(150)
})
