import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { clientHost, type ForwardingHeaders, trustIn } from '#src/p2p/door/client-address.ts'

const proxy = '10.0.0.5'
const trusts = trustIn(['10.0.0.0/8', 'fd00::/8'])

function hostOf(headers: ForwardingHeaders, peer = proxy): string {
  const told = clientHost(peer, headers, trusts)
  return told.kind === 'known' ? told.host : told.kind
}

test('trust is by range, IPv4 and IPv6', () => {
  expect(['10.255.0.1', 'fd12::1', '11.0.0.1', '2001:db8::1'].map(trusts)).toEqual([true, true, false, false])
  expect(trustIn([])('10.0.0.1')).toBe(false)
  expect(trustIn(['127.0.0.1/32'])('127.0.0.2')).toBe(false)
})

describe('X-Forwarded-For', () => {
  test.each<[string, string | string[] | undefined, string]>([
    ['of one client', '192.0.2.1', '192.0.2.1'],
    ['with a port', '192.0.2.1:50000', '192.0.2.1'],
    ['of IPv6', '2001:DB8:0::1', '2001:db8::1'],
    ['of IPv6 in brackets', '[2001:db8::1]', '2001:db8::1'],
    ['of IPv6 in brackets with a port', '[2001:db8::1]:443', '2001:db8::1'],
    ['of IPv4 in the form of IPv6', '::ffff:192.0.2.1', '192.0.2.1'],
    ['with a zone', 'fe80::1%eth0', 'fe80::1'],
    ['through two load balancers', '192.0.2.1, 10.0.0.9', '192.0.2.1'],
    ['forged on its left', '6.6.6.6, 192.0.2.1', '192.0.2.1'],
    ['forged as a load balancer', '6.6.6.6, 10.0.0.1, 192.0.2.1', '192.0.2.1'],
    ['forged with a quote', '", 192.0.2.1', '192.0.2.1'],
    ['from inside', '10.0.0.77', '10.0.0.77'],
    ['that is not known', 'unknown', proxy],
    ['that is hidden', '192.0.2.1, _hidden', proxy],
    ['not known behind a load balancer', 'unknown, 10.0.0.9', '10.0.0.9'],
    ['that is no address', '192.0.2.1.evil.example', proxy],
    ['that is empty', '', proxy],
    ['that is absent', undefined, proxy],
    ['that ends in nothing', '192.0.2.1,', proxy],
    ['repeated', ['6.6.6.6', '192.0.2.1, 10.0.0.9'], '192.0.2.1'],
  ])('%s', (_, header, host) => expect(hostOf({ 'x-forwarded-for': header })).toBe(host))

  test('counts for nothing from who is not trusted', () => {
    expect(hostOf({ 'x-forwarded-for': '6.6.6.6' }, '192.0.2.1')).toBe('192.0.2.1')
    expect(hostOf({ 'x-forwarded-for': '6.6.6.6', forwarded: 'for=7.7.7.7' }, '192.0.2.1')).toBe('192.0.2.1')
  })

  test('of absurd length is read from the right, and not to its end', () => {
    expect(hostOf({ 'x-forwarded-for': `${'6.6.6.6, '.repeat(100_000)}192.0.2.1` })).toBe('192.0.2.1')
    const chain = `192.0.2.1${', 10.0.0.9'.repeat(100_000)}`
    expect(hostOf({ 'x-forwarded-for': chain })).toBe('10.0.0.9')
  })
})

describe('Forwarded', () => {
  test.each([
    ['for=192.0.2.1', '192.0.2.1'],
    ['For=192.0.2.1;proto=https;by=203.0.113.43', '192.0.2.1'],
    ['proto=https; for="192.0.2.1:50000"', '192.0.2.1'],
    ['for=192.0.2.1:50000', '192.0.2.1'],
    ['for="[2001:db8::1]:443"', '2001:db8::1'],
    ['for=6.6.6.6, for=192.0.2.1, for=10.0.0.9', '192.0.2.1'],
    ['for=unknown', proxy],
    ['for=_hidden', proxy],
    ['for="_hidden", for=10.0.0.9', '10.0.0.9'],
    ['proto=https', proxy],
    ['for', proxy],
    ['192.0.2.1', proxy],
    ['for=192.0.2.1;for=6.6.6.6', proxy],
    ['for=192.0.2.1 for=6.6.6.6', proxy],
    // What a client put into its Host header is no address of it.
    ['host="a;for=6.6.6.6;b";for=192.0.2.1', '192.0.2.1'],
    ['host="a,for=6.6.6.6";for=192.0.2.1', '192.0.2.1'],
    ['host="\\",for=6.6.6.6,\\"";for=192.0.2.1', '192.0.2.1'],
    // A quote that a client left open swallows nothing.
    ['for="6.6.6.6, for=192.0.2.1', '192.0.2.1'],
    ['for="6.6.6.6\\, for="[2001:db8::1]"', '2001:db8::1'],
  ])('%s', (header, host) => expect(hostOf({ forwarded: header })).toBe(host))
})

describe('both headers', () => {
  test('that agree are believed, however each writes it', () => {
    const headers = { 'x-forwarded-for': '2001:db8:0:0::1', forwarded: 'for="[2001:DB8::1]:9"' }
    expect(hostOf(headers)).toBe('2001:db8::1')
  })

  test.each([
    ['192.0.2.1', 'for=6.6.6.6'],
    ['6.6.6.6', 'for=192.0.2.1'],
    ['192.0.2.1', 'for=unknown'],
    ['192.0.2.1', 'nonsense'],
    ['unknown', 'for=192.0.2.1'],
  ])('%s and %s contradict each other', (xForwardedFor, forwarded) => {
    expect(hostOf({ 'x-forwarded-for': xForwardedFor, forwarded })).toBe('contradiction')
  })
})

const anything = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc
    .array(fc.constantFrom(',', ';', '"', '\\', '=', ' ', 'for', '[', ']', ':', '10.0.0.9', '::1', '%'), {
      maxLength: 30,
    })
    .map((pieces) => pieces.join('')),
)

test('whatever a client writes, what the load balancer adds behind it is what counts', () => {
  fc.assert(
    fc.property(anything, fc.ipV4(), (forged, client) => {
      fc.pre(!trusts(client))
      expect(hostOf({ 'x-forwarded-for': `${forged}, ${client}` })).toBe(client)
      expect(hostOf({ forwarded: `${forged},for=${client}` })).toBe(client)
      expect(hostOf({ forwarded: `${forged}, for="${client}:1"` })).toBe(client)
      // And alone it never throws, nor yields what is no address.
      expect(['contradiction', 'known']).toContain(clientHost(proxy, { forwarded: forged }, trusts).kind)
    }),
    { numRuns: 1_000 },
  )
})
