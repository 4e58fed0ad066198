import { expect, test } from 'bun:test'
import { type Account, type AccountRefusal, Accounts } from '#src/relay/preload/accounts.ts'

const roomy = { callsPerMinute: 6_000, callsPerAddress: 1_000, callsTotal: 10_000 }

function taken(account: Account | AccountRefusal): Account {
  if ('refused' in account) throw new Error(account.refused)
  return account
}

function refusal(account: Account | AccountRefusal): string | undefined {
  return 'refused' in account ? account.refused : undefined
}

test('an address has so many calls at once, and another for each that ends', () => {
  const accounts = new Accounts({ ...roomy, callsPerAddress: 3 })
  const [first] = [1, 2, 3].map(() => taken(accounts.begin('a', 0)))
  const refused = accounts.begin('a', 0)
  expect(refused).toEqual({ refused: 'calls-per-address', retryAfterMs: 2_000 })
  expect(refusal(accounts.begin('b', 0))).toBeUndefined()
  accounts.end(first as Account, 0)
  expect(taken(accounts.begin('a', 0))).toBe(first as Account)
  expect(accounts.calls).toBe(4)
})

test('there are so many calls in all', () => {
  const accounts = new Accounts({ ...roomy, callsTotal: 5 })
  const begun = ['a', 'b', 'c', 'd', 'e'].map((address) => taken(accounts.begin(address, 0)))
  expect(accounts.begin('f', 0)).toEqual({ refused: 'calls-total', retryAfterMs: 5_000 })
  accounts.end(begun[0] as Account, 0)
  expect(refusal(accounts.begin('f', 0))).toBeUndefined()
})

test('an address has at most half of what is free, but four as long as there is a place', () => {
  const accounts = new Accounts({ ...roomy, callsTotal: 40 })
  const begin = (address: string): number => {
    let calls = 0
    while (refusal(accounts.begin(address, 0)) === undefined) calls++
    return calls
  }
  const shares = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(begin)
  expect(shares).toEqual([13, 9, 6, 4, 4, 4, 0, 0])
  expect(accounts.calls).toBe(40)
})

test('an address begins so many per minute, and hears when it may begin the next', () => {
  const accounts = new Accounts({ ...roomy, callsPerMinute: 60 })
  const begin = (nowMs: number): string | undefined => {
    const account = accounts.begin('a', nowMs)
    if ('refused' in account) return account.refused
    accounts.end(account, nowMs)
    return undefined
  }
  for (let n = 0; n < 60; n++) expect(begin(0)).toBeUndefined()
  expect(accounts.begin('a', 0)).toEqual({ refused: 'rate', retryAfterMs: 1_000 })
  expect(refusal(accounts.begin('b', 0))).toBeUndefined()
  expect(begin(1_000)).toBeUndefined()
  expect(begin(1_000)).toBe('rate')
})

test('a refusal costs nothing and leaves nothing', () => {
  const accounts = new Accounts({ ...roomy, callsTotal: 1 })
  taken(accounts.begin('a', 0))
  for (let n = 0; n < 1_000; n++) accounts.begin(`b${n}`, 0)
  expect([accounts.size, accounts.calls]).toEqual([1, 1])
})

test('an account is remembered until its rate is as that of a new one, then forgotten', () => {
  const accounts = new Accounts({ ...roomy, callsPerMinute: 1 })
  accounts.end(taken(accounts.begin('a', 0)), 0)
  accounts.sweep(59_999)
  expect([accounts.size, refusal(accounts.begin('a', 0))]).toEqual([1, 'rate'])
  accounts.sweep(60_000)
  expect(accounts.size).toBe(0)
  expect(refusal(accounts.begin('a', 60_000))).toBeUndefined()
})

test('an account with calls, or with copies still being made, is not forgotten', () => {
  const accounts = new Accounts(roomy)
  const busy = taken(accounts.begin('busy', 0))
  const copying = taken(accounts.begin('copying', 0))
  const idle = taken(accounts.begin('idle', 0))
  copying.blocks = 5
  for (const account of [copying, idle]) accounts.end(account, 0)
  accounts.sweep(1e9)
  expect(accounts.size).toBe(2)
  copying.blocks = 0
  accounts.end(busy, 0)
  accounts.sweep(1e9)
  expect(accounts.size).toBe(0)
})

test('a flood of addresses leaves no more than so many idle accounts', () => {
  const accounts = new Accounts(roomy)
  for (let n = 0; n < 60_000; n++) accounts.end(taken(accounts.begin(`10.${n}`, 0)), 0)
  expect(accounts.size).toBe(50_000)
  accounts.sweep(60_000)
  expect(accounts.size).toBe(0)
})
