import { expect, test } from 'bun:test'
import { usableAddresses } from '#src/rpc/swarm-addresses.ts'

const id = '12D3KooWA'
const told = [
  `/ip4/127.0.0.1/tcp/4001/p2p/${id}`,
  `/ip4/127.0.0.1/udp/4001/quic-v1/p2p/${id}`,
  `/ip4/127.0.0.1/udp/4001/quic-v1/webtransport/certhash/uEi/p2p/${id}`,
  `/ip4/203.0.113.9/tcp/4001/p2p/${id}`,
  `/ip4/172.17.0.2/tcp/4001/p2p/${id}`,
  `/ip4/10.0.0.11/tcp/4001/p2p/${id}`,
  `/ip4/10.0.0.11/tcp/8081/ws/p2p/${id}`,
  `/dns4/x.libp2p.direct/tcp/4001/tls/ws/p2p/${id}`,
  `/ip4/198.51.100.1/tcp/4001/p2p/12D3KooWRelay/p2p-circuit/p2p/${id}`,
  `/ip6/::1/tcp/4001/p2p/${id}`,
  `/ip6/2001:db8::9/tcp/4001/p2p/${id}`,
  `/ip6/fe80::1/tcp/4001/p2p/${id}`,
]

test('a Kubo on another machine: its loopback becomes the RPC host, which comes first', () => {
  expect(usableAddresses(told, '10.0.0.11')).toEqual([
    `/ip4/10.0.0.11/tcp/4001/p2p/${id}`,
    `/ip4/172.17.0.2/tcp/4001/p2p/${id}`,
    `/ip4/203.0.113.9/tcp/4001/p2p/${id}`,
    `/ip6/2001:db8::9/tcp/4001/p2p/${id}`,
  ])
})

test('a Kubo on this machine: loopback stays, and comes first', () => {
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
    expect(usableAddresses(told, host)).toEqual([
      `/ip4/127.0.0.1/tcp/4001/p2p/${id}`,
      `/ip6/::1/tcp/4001/p2p/${id}`,
      `/ip4/172.17.0.2/tcp/4001/p2p/${id}`,
      `/ip4/10.0.0.11/tcp/4001/p2p/${id}`,
      `/ip4/203.0.113.9/tcp/4001/p2p/${id}`,
      `/ip6/2001:db8::9/tcp/4001/p2p/${id}`,
    ])
  }
})

test.each([
  ['kubo-1.internal', 'dns/kubo-1.internal'],
  ['[fd00::11]', 'ip6/fd00::11'],
  ['fd00::11', 'ip6/fd00::11'],
  ['10.0.0.11', 'ip4/10.0.0.11'],
])('the host %s takes the form /%s', (host, form) => {
  expect(usableAddresses([`/ip4/0.0.0.0/tcp/4001/p2p/${id}`], host)).toEqual([`/${form}/tcp/4001/p2p/${id}`])
})

test('unspecified hosts are loopback when the RPC is on loopback', () => {
  const unspecified = [`/ip4/0.0.0.0/tcp/4001/p2p/${id}`, `/ip6/::/tcp/4001/p2p/${id}`]
  expect(usableAddresses(unspecified, 'localhost')).toEqual([
    `/ip4/127.0.0.1/tcp/4001/p2p/${id}`,
    `/ip6/::1/tcp/4001/p2p/${id}`,
  ])
})

test('the old spelling of /p2p is read, what is no dialable address is left out', () => {
  const odd = [
    `/ip4/10.0.0.1/tcp/4001/ipfs/${id}`,
    '/ip4/10.0.0.1/tcp/4001',
    `/ip4/10.0.0.999/tcp/4001/p2p/${id}`,
    `/ip4/10.0.0.1/tcp/0/p2p/${id}`,
    `/ip4/10.0.0.1/tcp/99999/p2p/${id}`,
    `/ip6/zz/tcp/1/p2p/${id}`,
    '',
    '/',
    'http://10.0.0.1:4001',
  ]
  expect(usableAddresses(odd, '10.0.0.1')).toEqual([`/ip4/10.0.0.1/tcp/4001/p2p/${id}`])
})
