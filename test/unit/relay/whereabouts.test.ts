import { expect, test } from 'bun:test'
import { route } from '#src/relay/router.ts'
import { Whereabouts } from '#src/relay/whereabouts.ts'
import { multihash, newClient, readyBackend } from '#test/unit/relay/fixture.ts'

const [a, b, c] = [readyBackend('a'), readyBackend('b'), readyBackend('c')]
const [one, two] = [multihash(1), multihash(2)]

test('where a block was seen outranks where its parent was', () => {
  const whereabouts = new Whereabouts()
  whereabouts.linked(one, a)
  expect(whereabouts.find(one)).toBe(a)
  expect([whereabouts.has(one, a), whereabouts.known(one)]).toEqual([false, false])
  whereabouts.saw(one, b)
  whereabouts.linked(one, a)
  expect(whereabouts.find(one)).toBe(b)
  expect([whereabouts.has(one, b), whereabouts.has(one, a), whereabouts.known(one)]).toEqual([
    true,
    false,
    true,
  ])
})

test('a backend that has not got it is forgotten, another is not', () => {
  const whereabouts = new Whereabouts()
  whereabouts.saw(one, a)
  whereabouts.missed(one, b)
  expect(whereabouts.find(one)).toBe(a)
  whereabouts.missed(one, a)
  expect(whereabouts.find(one)).toBeUndefined()
})

test('it holds no more than its capacity', () => {
  const whereabouts = new Whereabouts(10)
  for (let n = 0; n < 100; n++) whereabouts.saw(multihash(n), a)
  expect(whereabouts.size).toBe(10)
})

test('a route goes to who is known to have it, then to who last served the client, then to the rest', () => {
  const whereabouts = new Whereabouts()
  const client = newClient()
  const everyone = [a, b, c]
  const plain = [...route(two, undefined, whereabouts, everyone)]
  expect(new Set(plain)).toEqual(new Set(everyone))
  const [first, second, third] = plain as [typeof a, typeof a, typeof a]
  client.recent = third
  expect([...route(two, client, whereabouts, everyone)]).toEqual([third, first, second])
  whereabouts.saw(two, second)
  expect([...route(two, client, whereabouts, everyone)]).toEqual([second, third, first])
  client.recent = second
  expect([...route(two, client, whereabouts, everyone)]).toEqual([second, first, third])
})
