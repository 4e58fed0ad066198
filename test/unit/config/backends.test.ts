import { describe, expect, test } from 'bun:test'
import { maskBackends, parseBackend, parseBackends } from '#src/config/backends.ts'

const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'

describe('an RPC', () => {
  test.each([
    ['http://10.0.0.11:5001', 'http://10.0.0.11:5001'],
    ['http://10.0.0.11:5001/', 'http://10.0.0.11:5001'],
    ['HTTP://Node.Internal:5001/api/v0/', 'http://node.internal:5001'],
    ['http://[fd00::1]:5001', 'http://[fd00::1]:5001'],
    ['http://h:80', 'http://h'],
    ['https://rpc.example.net/kubo/', 'https://rpc.example.net/kubo'],
  ])('%s', (text, url) =>
    expect(parseBackend(text)).toEqual({ ok: true, value: { kind: 'rpc', name: url, url } }),
  )

  test('with a password has it as a header and nowhere else', () => {
    const parsed = parseBackend('https://user:p%40ss@h:5001')
    if (!parsed.ok || parsed.value.kind !== 'rpc') throw new Error('was refused')
    expect(parsed.value.name).toBe('https://h:5001')
    expect(parsed.value.url).toBe('https://h:5001')
    expect(parsed.value.authorization).toBe(`Basic ${btoa('user:p@ss')}`)
  })
})

describe('an entry is refused', () => {
  test.each([
    ['10.0.0.11:5001', 'neither a URL'],
    ['ftp://h:1', 'neither a URL'],
    ['http://h', 'no port'],
    ['http://h:5001?x=1', '?'],
    ['http://h:99999', 'not a URL'],
    ['http://h:0', 'port 0'],
    ['http://', 'not a URL'],
    ['https://u:%zz@h', 'stray %'],
    ['http://h:5001;weight=2', 'unknown option "weight"'],
    [`/ip4/10.0.0.1/tcp/4001/p2p/${peer};x`, 'unknown option "x"'],
    ['/ip4/10.0.0.1/tcp/4001', 'no /p2p/'],
    ['', 'empty'],
  ])('%s', (text, why) => {
    const parsed = parseBackend(text)
    expect(parsed.ok ? '' : parsed.reason).toContain(why)
  })
})

describe('a gateway', () => {
  test.each([
    ['http://h:5001;gateway=http://h:8080', 'http://h:8080'],
    ['http://h:5001 ; gateway = HTTPS://G.example/base/ ', 'https://g.example/base'],
    [`/ip4/10.0.0.1/tcp/4001/p2p/${peer};gateway=http://10.0.0.1:8080/`, 'http://10.0.0.1:8080'],
  ])('%s', (text, gateway) => {
    const parsed = parseBackend(text)
    expect(parsed).toMatchObject({ ok: true, value: { gateway } })
    expect(parsed.ok && parsed.value.name).not.toContain('gateway')
  })

  test.each([
    ['http://h:5001;gateway', 'not a URL'],
    ['http://h:5001;gateway=', 'not a URL'],
    ['http://h:5001;gateway=h:8080', 'not a URL'],
    ['http://h:5001;gateway=http://h:0', 'port 0'],
    ['http://h:5001;gateway=http://h/?x', '? or #'],
    ['http://h:5001;gateway=http://u:p@h', 'no password'],
    ['http://h:5001;gateway=http://a;gateway=http://b', 'twice'],
    ['http://h:5001;gatewya=http://h', 'is it "gateway"?'],
  ])('%s is refused', (text, why) => {
    const parsed = parseBackend(text)
    expect(parsed.ok ? '' : parsed.reason).toContain(why)
  })

  test('its password, which it must not have, is never shown', () => {
    const text = 'http://h:5001;gateway=http://u:hunter2@g,http://u:hunter2@h:5001;gateway=http://g'
    expect(maskBackends(text)).not.toContain('hunter2')
    expect(JSON.stringify(parseBackends(text).faults)).not.toContain('hunter2')
  })
})

test('a list keeps its order and finds every fault', () => {
  const { value, faults } = parseBackends(`http://a:5001, /ip4/10.0.0.1/tcp/1/p2p/${peer} ,http://b:5001`)
  expect(faults).toEqual([])
  expect(value.map(({ kind }) => kind)).toEqual(['rpc', 'multiaddr', 'rpc'])
  const bad = parseBackends('http://a,nonsense,,http://b:1')
  expect(bad.faults.map(({ found }) => found)).toEqual(['http://a', 'nonsense', ''])
})

test('duplicates are faults, by URL and by peer ID', () => {
  const urls = parseBackends('http://a:5001,http://A:5001/api/v0')
  expect(urls.faults).toEqual([
    { found: 'http://a:5001', reason: 'is a duplicate: http://a:5001 has the same URL' },
  ])
  const peers = parseBackends(`/ip4/10.0.0.1/tcp/1/p2p/${peer},/ip4/10.0.0.2/tcp/1/p2p/${peer}`)
  expect(peers.faults[0]?.reason).toContain('same peer ID')
})

describe('passwords are never shown', () => {
  test.each([
    'http://u:hunter2@h:5001',
    'http://u:hunter2@h',
    'http://a:1,http://u:hunter2@h:x',
    'http://u:a/hunter2@h:5001',
    'http://u:a,hunter2@h:5001',
    'http://u:a,hunter2,b@h:5001;x=1',
    'u:hunter2@h:5001',
    'http://u:;hunter2@h:5001',
    'http://u:5001/hunter2@h:5001',
    'http://u:,/ip4/hunter2,@h:5001',
    'http://u:hunter2%zz@h:5001',
    'http://u:hunter2@h:5001,http://v:hunter2@h:5001',
    'http://u:a@hunter2@h:5001',
  ])('%s', (text) => {
    const { faults } = parseBackends(text)
    expect(JSON.stringify(faults)).not.toContain('hunter2')
    expect(maskBackends(text)).not.toContain('hunter2')
  })

  test('and lists without any are shown as they are', () => {
    expect(maskBackends('http://a:1,http://b:2')).toBe('http://a:1,http://b:2')
    expect(maskBackends('http://a:1,http://u:p@b:2/x')).toBe('http://a:1,http://***@b:2/x')
  })
})
