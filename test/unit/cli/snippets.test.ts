import { describe, expect, test } from 'bun:test'
import { type SnippetFacts, snippet } from '#src/cli/snippets.ts'

const peer = '/p2p/12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'
const hash = '/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g'
const wss = `/dns4/node0.example.org/tcp/443/wss${peer}`
const tcp = `/dns4/node0.example.org/tcp/4001${peer}`
const quic = `/ip4/9.9.9.9/udp/4001/quic-v1${peer}`
const webrtc = `/ip4/9.9.9.9/udp/4003/webrtc-direct${hash}${peer}`
const webtransport = `/ip4/9.9.9.9/udp/4004/quic-v1/webtransport${hash}${peer}`

function jsIpfs(addresses: string[], facts: Partial<SnippetFacts> = {}) {
  const text = snippet('js-ipfs', { addresses, preload: true, delegates: true, ...facts })
  return JSON.parse(text.slice('const ipfs = await IPFS.create('.length, -1))
}
const helia = (...addresses: string[]) => snippet('helia', { addresses, preload: true, delegates: false })

describe('js-ipfs', () => {
  test('gets what it can dial, and the same port for HTTP', () => {
    expect(jsIpfs([wss, tcp, quic, webrtc, webtransport])).toEqual({
      config: { Addresses: { Delegates: ['/dns4/node0.example.org/tcp/443/https'] }, Bootstrap: [wss, tcp] },
      preload: { enabled: true, addresses: ['/dns4/node0.example.org/tcp/443/https'] },
    })
  })

  test('gets plain HTTP of a plain WebSocket', () => {
    expect(jsIpfs([`/ip4/9.9.9.9/tcp/4002/ws${peer}`]).preload.addresses).toEqual([
      '/ip4/9.9.9.9/tcp/4002/http',
    ])
  })

  test('is told of no service that is not there', () => {
    expect(jsIpfs([wss], { preload: false, delegates: false })).toEqual({
      config: { Bootstrap: [wss] },
      preload: { enabled: false },
    })
    // Without a web port there is nobody to ask by HTTP.
    expect(jsIpfs([tcp])).toEqual({ config: { Bootstrap: [tcp] }, preload: { enabled: false } })
  })
})

describe('Helia', () => {
  test('gets the transports of its addresses, those of browsers first', () => {
    const text = helia(wss, tcp, quic, webrtc, webtransport)
    expect(text).toContain('transports: [webSockets(), webRTCDirect(), webTransport()]')
    for (const address of [wss, webrtc, webtransport]) expect(text).toContain(`"${address}"`)
    for (const address of [tcp, quic]) expect(text).not.toContain(`"${address}"`)
  })

  test('dials TCP where there is nothing else', () => {
    const text = helia(tcp, quic)
    expect(text).toContain("import { tcp } from '@libp2p/tcp'")
    expect(text).toContain('transports: [tcp()]')
    expect(text).toContain(tcp)
  })

  test('is JavaScript whatever it is made from', () => {
    for (const addresses of [[], [wss], [wss, webrtc, webtransport]])
      expect(() => new Bun.Transpiler({ loader: 'js' }).transformSync(helia(...addresses))).not.toThrow()
  })
})
