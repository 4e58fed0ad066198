import { expect, test } from 'bun:test'
import { Grants } from '#src/relay/preload/grants.ts'
import { multihash } from '#test/unit/relay/fixture.ts'
import { accountOf, limits, rootOf } from '#test/unit/relay/preload/preload-fixture.ts'

const keys = (...numbers: readonly number[]) => numbers.map(multihash)
const many = (count: number, from = 1_000) => Array.from({ length: count }, (_, n) => multihash(from + n))

test('a grant covers its root, and what verified blocks under it link to', () => {
  const grants = new Grants(limits())
  const grant = grants.create(rootOf(1), 0)
  expect(grants.covering(multihash(1))).toEqual([grant])
  expect(grants.extend(grant, multihash(1), keys(2, 3))).toEqual(keys(2, 3))
  expect(grants.extend(grant, multihash(3), keys(2, 4))).toEqual(keys(4))
  expect(grants.extend(grant, multihash(9), keys(10))).toEqual([])
  expect(keys(2, 4, 10).map((key) => grants.covering(key)?.length)).toEqual([1, 1, undefined])
  expect(grants.blocks).toBe(4)
})

test('what was seen is not unread any more', () => {
  const grants = new Grants(limits())
  const grant = grants.create(rootOf(1), 0)
  grants.extend(grant, multihash(1), keys(2, 3))
  grants.extend(grant, multihash(2), [])
  expect([...grant.unread.keys()]).toEqual(keys(3))
})

test('grants may cover the same; closing one leaves the other', () => {
  const grants = new Grants(limits())
  const [one, other] = [grants.create(rootOf(1), 0), grants.create(rootOf(1), 0)]
  grants.extend(one, multihash(1), keys(2))
  grants.close(one)
  expect(grants.covering(multihash(1))).toEqual([other])
  expect(grants.covering(multihash(2))).toBeUndefined()
  grants.close(other)
  expect([grants.open, grants.blocks, grants.covering(multihash(1))]).toEqual([0, 0, undefined])
})

test('an address is expected while an account of it has joined', () => {
  const grants = new Grants(limits())
  const grant = grants.create(rootOf(1), 0)
  const [home, office] = [accountOf('home'), accountOf('office')]
  expect(grants.join(grant, home)).toBe(true)
  expect(grants.join(grant, home)).toBe(false)
  expect(grants.join(grant, office)).toBe(true)
  expect([...grants.at('home')]).toEqual([grant])
  expect(grants.part(grant, home)).toBe(false)
  expect(grants.expects('home')).toBe(true)
  expect(grants.part(grant, home)).toBe(true)
  expect(grants.part(grant, home)).toBe(false)
  expect([grants.expects('home'), grants.expects('office')]).toEqual([false, true])
  grants.close(grant)
  expect(grants.expects('office')).toBe(false)
})

test('an account is charged for what the grants that it joined name and weigh, until they end', () => {
  const grants = new Grants(limits())
  const grant = grants.create(rootOf(1), 0)
  const [early, late] = [accountOf('early'), accountOf('late')]
  grants.join(grant, early)
  grants.extend(grant, multihash(1), keys(2, 3))
  grants.charge(grant, 500)
  grants.join(grant, late)
  grants.charge(grant, 100)
  expect([early.blocks, early.bytes, late.blocks, late.bytes]).toEqual([3, 600, 3, 600])
  grants.part(grant, early)
  expect([early.blocks, early.bytes]).toEqual([0, 0])
  grants.close(grant)
  expect([late.blocks, late.bytes]).toEqual([0, 0])
})

test.each([
  ['of one grant', { blocks: 100 }],
  ['of one address', { blocksPerAddress: 100 }],
  ['of all', { blocksTotal: 100 }],
])('a flood of links stops at the blocks %s', (_, some) => {
  const grants = new Grants(limits(some))
  const grant = grants.create(rootOf(1), 0)
  const account = accountOf('a')
  grants.join(grant, account)
  expect(grants.extend(grant, multihash(1), many(100_000)).length).toBe(99)
  expect([grant.exceeded, grants.blocks, grant.unread.size]).toEqual([true, 100, 99])
  grants.close(grant)
  expect([grants.blocks, account.blocks, grant.unread.size]).toEqual([0, 0, 0])
  const next = grants.create(rootOf(2), 0)
  grants.join(next, account)
  expect(grants.extend(next, multihash(2), many(50)).length).toBe(50)
})

test('exactly as many as may be are not too many', () => {
  const grants = new Grants(limits({ blocks: 100 }))
  const grant = grants.create(rootOf(1), 0)
  grants.extend(grant, multihash(1), many(99))
  grants.extend(grant, multihash(1), many(99))
  expect(grant.exceeded).toBe(false)
})

test('an endless chain stops at the depth', () => {
  const grants = new Grants(limits({ depth: 10 }))
  const grant = grants.create(rootOf(0), 0)
  for (let n = 0; n < 1_000; n++) grants.extend(grant, multihash(n), keys(n + 1))
  expect([grant.covered.size, grant.exceeded]).toEqual([11, true])
})

test.each([
  ['of one grant', { bytes: 1_000 }],
  ['of one address', { bytesPerAddress: 1_000 }],
  ['of all', { bytesTotal: 1_000 }],
])('bytes beyond those %s are too many, and no more count once it is closed', (_, some) => {
  const grants = new Grants(limits(some))
  const account = accountOf('a')
  const grant = grants.create(rootOf(1), 0)
  grants.join(grant, account)
  grants.charge(grant, 1_000)
  expect(grant.exceeded).toBe(false)
  grants.charge(grant, 1)
  expect(grant.exceeded).toBe(true)
  grants.close(grant)
  const next = grants.create(rootOf(2), 0)
  grants.join(next, account)
  grants.charge(next, 1_000)
  expect(next.exceeded).toBe(false)
})

test('an address that has used up what it may have does not end what another one asked for', () => {
  const grants = new Grants(limits({ blocksPerAddress: 50, bytesPerAddress: 1_000 }))
  const [hog, victim] = [accountOf('hog'), accountOf('victim')]
  const own = grants.create(rootOf(1), 0)
  grants.join(own, hog)
  grants.extend(own, multihash(1), many(60))
  grants.charge(own, 2_000)
  const shared = grants.create(rootOf(2), 0)
  grants.join(shared, victim)
  grants.join(shared, hog)
  expect(grants.extend(shared, multihash(2), many(40, 5_000)).length).toBe(40)
  grants.charge(shared, 500)
  expect([own.exceeded, shared.exceeded]).toEqual([true, false])
})
