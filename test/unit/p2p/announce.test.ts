import { describe, expect, test } from 'bun:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import { multiaddr } from '@multiformats/multiaddr'
import { parseAnnounce } from '#src/config/addresses.ts'
import { Announcer } from '#src/p2p/announce.ts'

const privateKey = await generateKeyPair('Ed25519')
const self = peerIdFromPrivateKey(privateKey)
const hashes =
  '/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g/certhash/uEiBUr5U94zQ-L1LbqLq_CCIRk-4C4x9DZK0eyxZ3f8A_2g'

function announcer(
  facts: { announce?: string[]; listening?: string[]; names?: string[] },
  key: typeof privateKey = privateKey,
) {
  const deps = {
    privateKey: key,
    listening: () => (facts.listening ?? []).map((address) => multiaddr(address)),
    certificateNames: () => facts.names ?? [],
  }
  return new Announcer(deps, facts.announce ?? [])
}

function told(...facts: Parameters<typeof announcer>): string[] {
  return announcer(...facts)
    .advertised()
    .map((address) => address.toString().replace(`/p2p/${self}`, ''))
}

describe('nothing announced', () => {
  test('the public ones among the real ones, each with the peer ID', () => {
    const listening = [
      '/ip4/127.0.0.1/tcp/4001',
      '/ip4/10.0.0.1/tcp/4001',
      '/ip4/9.9.9.9/tcp/4001',
      '/ip6/2620:fe::9/udp/4001/quic-v1',
    ]
    expect(announcer({ listening }).advertised().map(String)).toEqual([
      `/ip4/9.9.9.9/tcp/4001/p2p/${self}`,
      `/ip6/2620:fe::9/udp/4001/quic-v1/p2p/${self}`,
    ])
  })

  test('a TLS port by the names of its certificate, whatever its addresses, and once', () => {
    const listening = [
      '/ip4/10.0.0.1/tcp/443/tls/ws',
      '/ip4/9.9.9.9/tcp/443/tls/ws',
      '/ip6/2620:fe::9/tcp/8443/tls/ws',
    ]
    const names = ['node0.example.org', '*.example.org', 'localhost', 'cluster.local', '9.9.9.9']
    expect(told({ listening, names })).toEqual([
      '/dns4/node0.example.org/tcp/443/wss',
      '/ip4/9.9.9.9/tcp/443/wss',
      '/dns6/node0.example.org/tcp/8443/wss',
    ])
  })

  test('a TLS port of whose certificate no name is known is not told: nobody could verify it', () => {
    expect(told({ listening: ['/ip4/9.9.9.9/tcp/443/tls/ws'], names: ['*.example.org'] })).toEqual([])
  })

  test('doors with certificates of their own are told with their hashes', () => {
    const listening = [`/ip4/9.9.9.9/udp/4003/webrtc-direct${hashes}`]
    expect(told({ listening })).toEqual(listening)
  })
})

describe('announced', () => {
  test('in place of the real ones, as it was written', () => {
    const announce = [
      '/dns4/node0.example.org/tcp/443/wss',
      '/ip4/10.0.0.1/tcp/4001',
      '/dnsaddr/example.org',
      '/ip4/1.1.1.1/tcp/443/tls/ws',
    ]
    expect(told({ announce, listening: ['/ip4/9.9.9.9/tcp/4001'], names: ['other.example.org'] })).toEqual(
      announce,
    )
  })

  test.each(['/webrtc-direct', '/quic-v1/webtransport'])('%s gets the hashes of its door', (suffix) => {
    const listening = [
      `/ip4/10.0.0.1/udp/4003${suffix}/certhash/uEiBUr5U94zQ-L1LbqLq_CCIRk-4C4x9DZK0eyxZ3f8A_2g`,
      `/ip4/10.0.0.1/udp/4004${suffix}${hashes}`,
    ]
    const announce = [`/dns4/node0.example.org/udp/4004${suffix}/p2p/${self}`]
    expect(told({ announce, listening })).toEqual([`/dns4/node0.example.org/udp/4004${suffix}${hashes}`])
    // Behind a translated port there is no other door that it could be.
    expect(told({ announce: [`/ip4/9.9.9.9/udp/9${suffix}`], listening })).toEqual([
      `/ip4/9.9.9.9/udp/9${suffix}/certhash/uEiBUr5U94zQ-L1LbqLq_CCIRk-4C4x9DZK0eyxZ3f8A_2g`,
    ])
    const own = `/ip4/9.9.9.9/udp/9${suffix}/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g`
    expect(told({ announce: [own], listening })).toEqual([own])
  })

  test('without its door it is not told: there is no hash to dial it with', () => {
    const announce = ['/ip4/9.9.9.9/udp/4003/webrtc-direct', '/ip4/9.9.9.9/tcp/4001']
    expect(told({ announce, listening: ['/ip4/10.0.0.1/tcp/4001'] })).toEqual(['/ip4/9.9.9.9/tcp/4001'])
  })

  test.each([
    '/dns4/a.example.org/tcp/4001',
    '/dns6/a.example.org/udp/4001/quic-v1',
    '/dnsaddr/a.example.org',
    '/dns/a.example.org/tcp/443/wss',
  ])('%s can be written', (address) => expect(parseAnnounce(address)).toEqual({ ok: true, value: address }))
})

test('the record says what is told, is signed once, and anew when it changes', async () => {
  const counting = await generateKeyPair('Ed25519')
  const sign = counting.sign.bind(counting)
  let signed = 0
  counting.sign = (...args) => {
    signed++
    return sign(...args)
  }
  const facts = { listening: ['/ip4/9.9.9.9/tcp/443/tls/ws'], names: ['a.example.org'] }
  const subject = announcer(facts, counting)
  const addresses = async () => {
    const bytes = (await subject.record()) as Uint8Array
    const envelope = await RecordEnvelope.openAndCertify(bytes, PeerRecord.DOMAIN)
    return PeerRecord.createFromProtobuf(envelope.payload).multiaddrs.map(String)
  }
  expect(await Promise.all([addresses(), addresses()])).toEqual([
    ['/dns4/a.example.org/tcp/443/wss'],
    ['/dns4/a.example.org/tcp/443/wss'],
  ])
  expect(signed).toBe(1)
  facts.names = ['b.example.org']
  expect(await addresses()).toEqual(['/dns4/b.example.org/tcp/443/wss'])
  expect(signed).toBe(2)
  facts.listening = []
  expect(await subject.record()).toBeUndefined()
})
