import { describe, expect, test } from 'bun:test'
import { parseCidr } from '#src/config/cidr.ts'
import { parseProxyProtocol } from '#src/config/schema-proxies.ts'

describe('a CIDR', () => {
  test.each([
    ['10.0.0.5', '10.0.0.5/32'],
    [' 10.0.0.0/8 ', '10.0.0.0/8'],
    ['192.0.2.128/25', '192.0.2.128/25'],
    ['0.0.0.0/1', '0.0.0.0/1'],
    ['::1', '::1/128'],
    ['fd00:1::/64', 'fd00:1::/64'],
    ['fe80::/10', 'fe80::/10'],
    ['2001:db8:8000::/33', '2001:db8:8000::/33'],
    ['64:ff9b::192.0.2.0/120', '64:ff9b::192.0.2.0/120'],
  ])('%s', (text, value) => expect(parseCidr(text)).toEqual({ ok: true, value }))

  test.each([
    ['', 'no IP address'],
    ['lb.example', 'no IP address'],
    ['10.0.0.0/8/8', 'no IP address'],
    ['fe80::1%eth0', 'no IP address'],
    ['10.0.0.0/', 'from 1 to 32'],
    ['10.0.0.0/33', 'from 1 to 32'],
    ['10.0.0.0/1e1', 'from 1 to 32'],
    ['fd00::/129', 'from 1 to 128'],
    ['0.0.0.0/0', 'everybody'],
    ['::/0', 'everybody'],
    ['10.0.0.5/24', 'bits beyond its first 24'],
    ['fd00:1::1/64', 'bits beyond its first 64'],
    ['2001:db8:8000::/32', 'bits beyond its first 32'],
    ['::ffff:10.0.0.0/104', 'write it as IPv4'],
    ['0:0:0:0:0:FFFF:a00:1', 'write it as IPv4'],
  ])('"%s" is refused', (text, why) => {
    const parsed = parseCidr(text)
    expect(parsed.ok ? 'taken' : parsed.reason).toContain(why)
  })
})

describe('the listeners of the PROXY protocol', () => {
  test.each([
    ['off', []],
    ['on', ['tcp', 'ws']],
    ['tcp', ['tcp']],
    [' WS ', ['ws']],
    ['ws, tcp', ['tcp', 'ws']],
  ])('%s', (text, value) => expect(parseProxyProtocol(text)).toEqual({ ok: true, value } as never))

  test.each(['on,tcp', '', 'tcp,', 'tcp,tcp', 'off,tcp', 'tcp ws', 'v2'])('"%s" is refused', (text) => {
    expect(parseProxyProtocol(text).ok).toBe(false)
  })
})
