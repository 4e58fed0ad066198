import { describe, expect, test } from 'bun:test'
import { doorOf, doorsOf, parseListen, parseOptionalDoor } from '#src/config/listen.ts'

const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'

function reason(parsed: { ok: boolean; reason?: string }): string {
  if (parsed.ok || parsed.reason === undefined) throw new Error('was taken')
  return parsed.reason
}

describe('listen', () => {
  test.each([
    ['/ip4/0.0.0.0/tcp/4001', 'tcp'],
    ['/ip4/127.0.0.1/tcp/0/ws', 'ws'],
    ['/ip6/::/tcp/4001', 'tcp'],
    ['/ip6/::1/tcp/4002/ws', 'ws'],
    ['/ip4/0.0.0.0/tcp/443/tls/ws', 'wss'],
    ['/ip4/0.0.0.0/udp/4001/quic-v1', 'quic-v1'],
    ['/ip6/::/udp/4003/webrtc-direct', 'webrtc-direct'],
    ['/ip4/0.0.0.0/udp/4004/quic-v1/webtransport', 'webtransport'],
  ] as const)('%s is a door of the kind %s', (text, kind) => {
    expect(parseListen(text)).toEqual({ ok: true, value: text })
    expect(parseListen(`${text}?`)).toEqual({ ok: true, value: `${text}?` })
    expect(doorOf(text)).toBe(kind)
  })

  test('wss is tls/ws', () => {
    expect(parseListen('/ip4/0.0.0.0/tcp/443/wss?')).toEqual({
      ok: true,
      value: '/ip4/0.0.0.0/tcp/443/tls/ws?',
    })
  })

  test.each([
    ['4001', 'not a multiaddr'],
    ['127.0.0.1:4001', 'not a multiaddr'],
    ['', 'empty'],
    ['?', 'empty'],
    ['/', 'empty'],
    ['/ip4/0.0.0.0/udp/4001/quic', 'not served'],
    ['/ip4/0.0.0.0/tcp/443/tls/sni/a.example/ws', 'leave it out'],
    ['/dns4/example.net/tcp/4001', 'names a host'],
    [`/ip4/0.0.0.0/tcp/4001/p2p/${peer}`, 'leave it out'],
    ['/ip4/0.0.0.0', 'there are tcp, ws, wss'],
    ['/ip4/0.0.0.0/tcp/70000', 'not a multiaddr'],
    ['/ip4/300.0.0.0/tcp/1', 'not a multiaddr'],
    ['/tcp/4001', 'not served'],
  ])('%s is refused', (text, why) => expect(reason(parseListen(text))).toContain(why))
})

describe('optional doors', () => {
  const tcp = '/ip4/0.0.0.0/tcp/4001'
  const quic = '/ip4/0.0.0.0/udp/4001/quic-v1'
  const optional = (listen: string[], marks: string[]) =>
    doorsOf(listen, marks).map((door) => [door.address, door.optional])

  test('by a mark, by kind, by address, or all of them', () => {
    const one = [
      [tcp, false],
      [quic, true],
    ]
    expect(optional([tcp, `${quic}?`], [])).toEqual(one)
    expect(optional([tcp, quic], ['quic-v1'])).toEqual(one)
    expect(optional([tcp, quic], [quic])).toEqual(one)
    expect(optional([tcp], [quic])).toEqual(one)
    expect(optional([tcp, quic], ['all']).map(([, mark]) => mark)).toEqual([true, true])
  })

  test('words for all, kinds and addresses are taken, anything else is refused', () => {
    for (const word of ['all', 'on', 'True', '1'])
      expect(parseOptionalDoor(word)).toEqual({ ok: true, value: 'all' })
    expect(parseOptionalDoor('WSS')).toEqual({ ok: true, value: 'wss' })
    expect(parseOptionalDoor(`${quic}?`)).toEqual({ ok: true, value: quic })
    expect(reason(parseOptionalDoor('quic'))).toContain('quic-v1')
    expect(reason(parseOptionalDoor('/ip4/1.2.3.4'))).toContain('not served')
  })
})
