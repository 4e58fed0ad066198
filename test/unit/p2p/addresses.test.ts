import { expect, test } from 'bun:test'
import { multiaddr } from '@multiformats/multiaddr'
import { addressGroup, plainHost, publicOnly, remoteHost } from '#src/p2p/addresses.ts'

test('an IPv4 address is a group of its own, also when mapped into IPv6', () => {
  expect(addressGroup('192.0.2.7')).toBe('192.0.2.7')
  expect(addressGroup('::ffff:192.0.2.7')).toBe('192.0.2.7')
  expect(addressGroup('::FFFF:c000:207')).toBe('192.0.2.7')
  expect(addressGroup('192.0.2.8')).not.toBe(addressGroup('192.0.2.7'))
})

test('one IPv6 /64 is one group, however it is written', () => {
  const group = '2001:db8:0:1::/64'
  for (const host of [
    '2001:db8:0:1::5',
    '2001:db8::1:a:b:c:d',
    '2001:0DB8:0000:0001:0:0:0:9',
    '2001:db8:0:1::5%eth0',
  ]) {
    expect(addressGroup(host)).toBe(group)
  }
  expect(addressGroup('2001:db8:0:2::5')).not.toBe(group)
  expect(addressGroup('::1')).toBe('0:0:0:0::/64')
  expect(addressGroup('64:ff9b::192.0.2.7')).toBe('64:ff9b:0:0::/64')
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['0:0:0:0:0:FFFF:c000:201', '192.0.2.1'],
  ['::', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['2001:0DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['10:0:0:0:0:0:0:10', '10::10'],
  ['fe80::1%eth0', 'fe80::1'],
  ['192.0.2.01', undefined],
  ['192.0.2.1:80', undefined],
  ['node0.example.org', undefined],
  ['', undefined],
])('%j is written as %j', (text, host) => expect(plainHost(text)).toBe(host))

test('the host of a multiaddr is what it begins with', () => {
  expect(remoteHost(multiaddr('/ip4/192.0.2.7/tcp/1/ws'))).toBe('192.0.2.7')
  expect(remoteHost(multiaddr('/ip6/2001:db8::1/tcp/1'))).toBe('2001:db8::1')
  expect(remoteHost(multiaddr('/dns4/node0.example.org/tcp/443'))).toBe('node0.example.org')
  expect(remoteHost(multiaddr('/unix/%2ftmp%2fx.sock'))).toBe('')
})

const private_ = [
  '/ip4/127.0.0.1/tcp/4001',
  '/ip4/10.1.2.3/tcp/4001',
  '/ip4/172.31.255.255/tcp/4001',
  '/ip4/192.168.0.1/tcp/4001',
  '/ip4/100.64.0.1/tcp/4001',
  '/ip4/169.254.1.1/tcp/4001',
  '/ip4/0.0.0.0/tcp/4001',
  '/ip4/224.0.0.1/tcp/4001',
  '/ip6/::1/tcp/4001',
  '/ip6/::/tcp/4001',
  '/ip6/fe80::1/tcp/4001',
  '/ip6zone/eth0/ip6/fe80::1/tcp/4001',
  '/ip6/fd00::1/tcp/4001',
  '/ip6/::ffff:10.0.0.1/tcp/4001',
  '/ip6/::ffff:9.9.9.9/tcp/4001',
  '/dns4/localhost/tcp/4001',
  '/dns4/backend-3/tcp/4001',
  '/dns4/kubo.internal/tcp/4001',
  '/dns4/printer.LOCAL./tcp/4001',
  '/unix/%2ftmp%2fx.sock',
]
for (const address of private_) {
  test(`${address} is never told to a client`, () => {
    expect(publicOnly([multiaddr(address)])).toEqual([])
  })
}

const public_ = [
  '/ip4/9.9.9.9/tcp/4001',
  '/ip4/172.32.0.1/tcp/4002/ws',
  '/ip4/100.128.0.1/tcp/4001',
  '/ip6/2620:fe::fe/tcp/4001',
  '/dns4/node0.preload.ipfs.io/tcp/443/wss',
]
for (const address of public_) {
  test(`${address} is public`, () => {
    expect(publicOnly([multiaddr(address)]).map(String)).toEqual([address])
  })
}
