import { describe, expect, test } from 'bun:test'
import {
  collide,
  formatAdminListen,
  hostPortOf,
  parseAdminListen,
  parseAnnounce,
  parseBackendMultiaddr,
  parsePeerId,
} from '#src/config/addresses.ts'

const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'
const rsaPeer = 'QmNyX78UaJCwDVCtvizsnzHAA6TRNGm9xojWYEQCioL582'

function reason(parsed: { ok: boolean; reason?: string }): string {
  if (parsed.ok || parsed.reason === undefined) throw new Error('was taken')
  return parsed.reason
}

describe('announce', () => {
  test.each(['/ip4/10.1.2.3/tcp/4001', '/dns4/a.example/tcp/443/wss', `/ip6/2001:db8::1/tcp/1/p2p/${peer}`])(
    '%s',
    (text) => expect(parseAnnounce(text)).toEqual({ ok: true, value: text }),
  )

  test.each([
    ['/ip4/0.0.0.0/tcp/4001', 'unspecified'],
    ['/ip6/::/tcp/4001', 'unspecified'],
    ['/ip4/1.2.3.4/tcp/0', 'port 0'],
    ['/dns4/a.example', 'no port'],
    ['/tcp/4001', 'begin with a host'],
    ['/ip4/1.2.3.4/tcp/1/p2p/nobody', 'no peer ID where one is due'],
    [`/ip4/1.2.3.4/tcp/1/p2p/${peer}/p2p-circuit`, 'after its /p2p/'],
    [`/ip4/1.2.3.4/tcp/1/p2p/${peer}/p2p-circuit/p2p/${rsaPeer}`, 'more than one'],
  ])('%s is refused', (text, why) => expect(reason(parseAnnounce(text))).toContain(why))
})

describe('backend multiaddrs', () => {
  test('end in a peer ID, kept in base58', () => {
    const cid = 'k51qzi5uqu5dhlt48k0emhsm2dyo4zcksqbtgkh2sfj2fibyvmu45zxzxplqg6'
    const parsed = parseBackendMultiaddr(`/dns4/node.internal/tcp/4001/p2p/${cid}`)
    expect(parsed.ok && /\/p2p\/12D3KooW\w+$/.test(parsed.value)).toBe(true)
  })

  test.each([
    ['/ip4/10.0.0.1/tcp/4001', 'no /p2p/'],
    [`/ip4/10.0.0.1/udp/4001/quic-v1/p2p/${peer}`, 'dialled by tcp'],
    [`/ip4/0.0.0.0/tcp/4001/p2p/${peer}`, 'unspecified'],
    [`/ip4/10.0.0.1/tcp/0/p2p/${peer}`, 'port 0'],
    [`/p2p/${peer}`, 'dialled by tcp'],
  ])('%s is refused', (text, why) => expect(reason(parseBackendMultiaddr(text))).toContain(why))
})

test('peer IDs are known in each form and checked', () => {
  expect(parsePeerId(peer)).toEqual({ ok: true, value: peer })
  expect(parsePeerId(rsaPeer)).toEqual({ ok: true, value: rsaPeer })
  for (const text of ['', 'Qm', 'Qmfoo', '12D3KooW', `${peer}0`, 'k51', 'bafkqaaa', '../..']) {
    expect(parsePeerId(text).ok).toBe(false)
  }
})

describe('admin listen', () => {
  test.each([
    ['127.0.0.1:9090', { host: '127.0.0.1', port: 9090 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    ['localhost:9090', { host: 'localhost', port: 9090 }],
    ['unix:/run/kitsune/admin.sock', { path: '/run/kitsune/admin.sock' }],
    ['unix:///run/kitsune/admin.sock', { path: '/run/kitsune/admin.sock' }],
    ['/unix/run/kitsune/admin.sock', { path: '/run/kitsune/admin.sock' }],
    [`unix:/${'x'.repeat(106)}`, { path: `/${'x'.repeat(106)}` }],
    ['off', undefined],
  ])('%s', (text, value) => expect(parseAdminListen(text)).toEqual({ ok: true, value }))

  test.each(['9090', ':9090', '127.0.0.1', '127.0.0.1:70000', '::1:9090', '[x]:1', 'example.net:1', 'on'])(
    '%s is refused',
    (text) => expect(parseAdminListen(text).ok).toBe(false),
  )

  test.each([
    ['unix:admin.sock', 'no absolute path'],
    ['unix:', 'no absolute path'],
    ['unix:/run/kitsune/', 'ends in a slash'],
    // Bytes count, not letters.
    [`unix:/${'é'.repeat(54)}`, 'a path of 109 bytes; sockets of this system end at 107'],
  ])('%s is refused by name', (text, why) => expect(reason(parseAdminListen(text))).toContain(why))

  test.each(['127.0.0.1:9090', '[::1]:9090', 'unix:/run/a.sock'])('%s is written as it is read', (text) => {
    const parsed = parseAdminListen(text)
    expect(parsed.ok && parsed.value && formatAdminListen(parsed.value)).toBe(text)
  })
})

test('listeners collide on the same port of the same or any address', () => {
  const at = (host: string, port: number) => ({ host, port })
  expect(hostPortOf('/ip6/::1/tcp/4002/ws')).toEqual({ ...at('::1', 4002), protocol: 'tcp' })
  expect(collide(at('0.0.0.0', 1), at('127.0.0.1', 1))).toBe(true)
  expect(collide(at('localhost', 1), at('::1', 1))).toBe(true)
  expect(collide(at('127.0.0.1', 1), at('localhost', 1))).toBe(true)
  expect(collide(at('::1', 1), at('0:0::1', 1))).toBe(true)
  expect(collide(at('127.0.0.1', 1), at('127.0.0.2', 1))).toBe(false)
  expect(collide(at('0.0.0.0', 1), at('::', 1))).toBe(false)
  expect(collide(at('0.0.0.0', 0), at('0.0.0.0', 0))).toBe(false)
  expect(collide(at('0.0.0.0', 1), at('0.0.0.0', 2))).toBe(false)
  expect(collide(at('0.0.0.0', 1), { ...at('0.0.0.0', 1), protocol: 'udp' })).toBe(false)
})
