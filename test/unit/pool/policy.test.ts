import { expect, test } from 'bun:test'
import { byAffinity } from '#src/pool/policy.ts'

test('the policy yields each member once, in an order of the key alone', () => {
  const members = ['a', 'b', 'c'].map((name) => ({ name }))
  const orders = new Set<string>()
  for (let key = 0; key < 100; key++) {
    const order = [...byAffinity(`${key}`, members)]
    expect(new Set(order)).toEqual(new Set(members))
    expect([...byAffinity(`${key}`, [...members].reverse())]).toEqual(order)
    orders.add(order.map((member) => member.name).join(''))
  }
  expect(orders.size).toBe(6)
})
