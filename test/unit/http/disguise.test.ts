import { expect, test } from 'bun:test'
import { type Disguise, disguised } from '#src/http/disguise.ts'

const self = { id: 'EDGE', addresses: ['/dns4/edge.example/tcp/443/wss/p2p/EDGE'] }
const disguise: Disguise = { hides: (id) => /^BACK/.test(id), self: () => self }
const of = (value: unknown) => JSON.parse(disguised(JSON.stringify(value), disguise) ?? 'null')

test('a backend that is a provider becomes this edge', () => {
  const event = {
    Extra: '',
    ID: '',
    Responses: [{ Addrs: ['/ip4/10.0.0.1/tcp/4001'], ID: 'BACK1' }],
    Type: 4,
  }
  expect(of(event)).toEqual({ ...event, Responses: [{ Addrs: self.addresses, ID: 'EDGE' }] })
})

test('several of them are told once, others stay', () => {
  const other = { Addrs: ['/ip4/1.2.3.4/tcp/1'], ID: 'OTHER' }
  const back = (id: string) => ({ Addrs: ['/ip4/10.0.0.1/tcp/4001'], ID: id })
  expect(of({ Providers: [other, back('BACK1'), back('BACK2'), other] })).toEqual({
    Providers: [other, { Addrs: self.addresses, ID: 'EDGE' }, other],
  })
})

test('one that answers a query becomes this edge, with nothing added', () => {
  expect(of({ ID: 'BACK1', Type: 1, Responses: null })).toEqual({ ID: 'EDGE', Type: 1, Responses: null })
})

test('an address that leads through one of them is left out', () => {
  const addrs = [
    '/ip4/10.0.0.1/tcp/4001/p2p/BACK1/p2p-circuit',
    '/ip4/10.0.0.1/tcp/1/ipfs/BACK2',
    '/ip4/1.2.3.4/tcp/1',
  ]
  expect(of({ ID: 'OTHER', Addrs: addrs })).toEqual({ ID: 'OTHER', Addrs: ['/ip4/1.2.3.4/tcp/1'] })
})

test('answers about something else stay as they are', () => {
  for (const value of [
    { Key: 'bafy', Size: 7 },
    { Path: '/ipfs/BACK1' },
    [],
    'x',
    7,
    null,
    { ID: 7, Addrs: 'x' },
  ]) {
    expect(of(value)).toEqual(value)
  }
})

test('what is no JSON is nothing', () => {
  expect(disguised('404 page not found', disguise)).toBeUndefined()
  expect(disguised('{"ID":"BACK1"', disguise)).toBeUndefined()
})
